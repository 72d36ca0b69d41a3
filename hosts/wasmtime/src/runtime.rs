//! The engine that all components and filters of a process share.
//!
//! Compiling takes some seconds of processor time and about a hundred megabytes. It is done in an engine of its own, which is dropped,
//! and the allocator then gives the memory back.

use std::sync::Arc;

use wasmtime::{Config, CustomCodeMemory, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::epoch::EpochClock;
use crate::options::FilterOptions;

/// Core instances and tables that one component instance may consist of: the module itself and the few
/// shims that component tooling generates around it.
const CORE_INSTANCES_PER_INSTANCE: u32 = 8;

/// Fiber stacks per instance: one runs guest code; the others are slack for calls that are being set up.
const STACKS_PER_INSTANCE: u32 = 2;

/// Of the memory of an instance that ends: what its slot keeps for the next one, in bytes.
const KEPT_BYTES: usize = 64 << 10;

/// What a [`Runtime`] reserves address space for.
#[derive(Clone, Debug)]
pub struct RuntimeOptions {
    /// Instances that may be alive at the same time, over all filters of this runtime. A reload of a
    /// configuration needs room for the old and the new filter's instances. Default: 128, or four times what one
    /// filter has by default where that is more.
    pub max_instances: u32,
    /// Linear memory that one instance may have, in bytes. Default: 64 MiB, room for the answers that as many decisions as
    /// [`FilterOptions::in_flight_per_instance`] get at the same time: key sets have at most 256 KiB.
    pub memory_limit: usize,
}

impl Default for RuntimeOptions {
    fn default() -> Self {
        RuntimeOptions { max_instances: instances_for_filters_of(FilterOptions::default().instances), memory_limit: 64 << 20 }
    }
}

/// Room for a filter of so many instances, the one that replaces it, and two more that still end.
fn instances_for_filters_of(instances: usize) -> u32 {
    u32::try_from(instances.saturating_mul(4)).unwrap_or(u32::MAX).max(128)
}

/// No engine could be made.
#[derive(Debug, thiserror::Error)]
#[error("Wasmtime cannot be set up on this machine: {0}; check the limits on address space (ulimit -v)")]
pub struct RuntimeError(String);

/// A Wasmtime engine: pooling allocator, epochs for CPU budgets. Cheap to clone; make one per process.
#[derive(Clone)]
pub struct Runtime {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Engine,
    clock: EpochClock,
    config: Config,
    memory_limit: usize,
}

impl Runtime {
    /// Sets the engine up and starts the thread that advances its epoch every 10 ms while guest code can be running; the
    /// thread ends within some seconds of the last clone. Where the address space for a pool is not to be had, instances are allocated on
    /// demand, which is slower but works.
    ///
    /// # Errors
    /// When Wasmtime does not support this machine.
    pub fn new(options: &RuntimeOptions) -> Result<Runtime, RuntimeError> {
        Runtime::adapted(options, |_| {})
    }

    /// The same for code that is in executable memory already, as `code` says. It compiles nothing.
    pub(crate) fn for_executable(options: &RuntimeOptions, code: Arc<dyn CustomCodeMemory>) -> Result<Runtime, RuntimeError> {
        Runtime::adapted(options, |config| {
            config.enable_compiler(false).with_custom_code_memory(Some(Arc::clone(&code)));
        })
    }

    fn adapted(options: &RuntimeOptions, adapt: impl Fn(&mut Config)) -> Result<Runtime, RuntimeError> {
        let config_of = |pool| {
            let mut config = engine_config(pool);
            adapt(&mut config);
            config
        };
        let pooled = config_of(Some(options));
        let (engine, config) = match Engine::new(&pooled) {
            Ok(engine) => (engine, pooled),
            Err(error) => {
                tracing::warn!(
                    code = "runtime.no_pool",
                    "instances are allocated one by one, since no pool of {} could be reserved: {error:#}",
                    options.max_instances
                );
                let unpooled = config_of(None);
                (Engine::new(&unpooled).map_err(|error| RuntimeError(format!("{error:#}")))?, unpooled)
            }
        };
        let clock = EpochClock::start(&engine).map_err(|error| RuntimeError(format!("no thread for the epoch clock: {error}")))?;
        Ok(Runtime { shared: Arc::new(Shared { engine, clock, config, memory_limit: options.memory_limit }) })
    }

    /// The settings of an engine that compiles and runs nothing. It reserves no pool: compiled code does not depend on one, and an
    /// emulator may have no address space for it.
    pub(crate) fn compiler_config() -> Config {
        engine_config(None)
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    pub(crate) fn clock(&self) -> &EpochClock {
        &self.shared.clock
    }

    /// Compiles for [`Runtime::engine`], in an engine of its own: Wasmtime 48 keeps what it needed to compile
    /// as long as the engine that compiled.
    ///
    /// # Errors
    /// The bytes are no component.
    pub(crate) fn compile(&self, component: &[u8]) -> wasmtime::Result<Vec<u8>> {
        let compiled = match Engine::new(&self.shared.config) {
            Ok(engine) => engine.precompile_component(component),
            // There may be address space for one pool, and not for two.
            Err(error) => {
                tracing::warn!(code = "runtime.no_second_engine", "the memory that compiling takes is kept: {error:#}");
                self.shared.engine.precompile_component(component)
            }
        };
        give_back_memory();
        compiled
    }

    /// In bytes.
    pub(crate) fn memory_limit(&self) -> usize {
        self.shared.memory_limit
    }
}

/// Has glibc's allocator give back to the system what was freed: it keeps it in the arenas of the threads that used it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "a C function; see SAFETY")]
fn give_back_memory() {
    // SAFETY: it takes the allocator's own locks, and touches memory that nobody has allocated.
    unsafe { libc::malloc_trim(0) };
}

/// Does nothing: there is another allocator.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn give_back_memory() {}

fn engine_config(pool: Option<&RuntimeOptions>) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model_async(true)
        .epoch_interruption(true)
        // Signatures are verified with products of 128 bits: one instruction with it, a dozen without.
        .wasm_wide_arithmetic(true);
    if let Some(options) = pool {
        let instances = options.max_instances.max(1);
        let parts = instances.saturating_mul(CORE_INSTANCES_PER_INSTANCE);
        let mut pool = PoolingAllocationConfig::default();
        pool.total_component_instances(instances)
            .total_core_instances(parts)
            .total_tables(parts)
            .total_memories(instances)
            .total_stacks(instances.saturating_mul(STACKS_PER_INSTANCE))
            .max_memory_size(options.memory_limit)
            // Measured: half the time of an instance that is used once. Its pages are wiped in place of being given back,
            // as many as an instance has after its first decision.
            .linear_memory_keep_resident(KEPT_BYTES)
            .pagemap_scan(Enabled::Auto);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_finds_room_on_machines_of_any_size() {
        for processors in [1, 2, 16, 64, 256] {
            let instances = 2 * processors;
            assert!(instances_for_filters_of(instances) as usize >= 2 * instances, "{processors}");
        }
        assert_eq!(RuntimeOptions::default().max_instances, instances_for_filters_of(FilterOptions::default().instances));
    }

    #[test]
    fn compiled_code_does_not_depend_on_the_pool() {
        let settings = |config: &Config| crate::precompiled::settings_digest(&Engine::new(config).unwrap());
        assert_eq!(settings(&Runtime::compiler_config()), settings(&engine_config(Some(&RuntimeOptions::default()))));
    }

    #[test]
    fn a_pool_that_fits_nowhere_falls_back_to_allocation_on_demand() {
        let options = RuntimeOptions { max_instances: u32::MAX, ..RuntimeOptions::default() };
        assert!(Engine::new(&engine_config(Some(&options))).is_err());
        assert!(Runtime::new(&options).is_ok());
    }
}
