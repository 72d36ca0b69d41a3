//! The smallest host: one instance of the module in Wasmtime, without the component model.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::{Value, json};
use wasmtime::{Caller, Engine, Extern, Instance, Linker, Memory, Module, Store};

/// As `make build` leaves it.
pub(crate) fn file() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/vestibule-steps.wasm");
    assert!(path.is_file(), "{}: no module there; run `scripts/build-component.sh --steps`", path.display());
    path
}

/// Compiled once for all tests.
pub(crate) static MODULE: LazyLock<Module> = LazyLock::new(|| Module::from_file(&Engine::default(), file()).unwrap());

pub(crate) const NOW: u64 = 1_700_000_000;

/// What the module asks its host.
#[derive(Default)]
pub(crate) struct World {
    pub now: u64,
    random: u64,
    /// Names of sessions, 16 bytes each.
    pub ended: BTreeSet<Vec<u8>>,
}

pub(crate) struct Host {
    pub store: Store<World>,
    instance: Instance,
    memory: Memory,
}

impl Host {
    /// With this configuration.
    pub(crate) fn new(toml: &str) -> Self {
        let mut host = Self::empty();
        let answer = host.load(&json!({ "file_name": "secrets.toml", "toml": toml }));
        assert!(answer.get("loaded").is_some(), "{answer}");
        host
    }

    /// Without a configuration.
    pub(crate) fn empty() -> Self {
        let mut linker = Linker::new(MODULE.engine());
        linker.func_wrap("env", "now", |caller: Caller<'_, World>| caller.data().now).unwrap();
        linker
            .func_wrap("wasi_snapshot_preview1", "random_get", |mut caller: Caller<'_, World>, address: u32, bytes: u32| {
                let Some(Extern::Memory(memory)) = caller.get_export("memory") else { unreachable!() };
                let (memory, world) = memory.data_and_store_mut(&mut caller);
                for byte in &mut memory[address as usize..][..bytes as usize] {
                    world.random = world.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    *byte = (world.random >> 33) as u8;
                }
                0_i32
            })
            .unwrap();
        linker
            .func_wrap("env", "ended", |mut caller: Caller<'_, World>, address: u32, bytes: u32, _began_at: u64| {
                let Some(Extern::Memory(memory)) = caller.get_export("memory") else { unreachable!() };
                let names = &memory.data(&caller)[address as usize..][..bytes as usize];
                i32::from(names.chunks(16).any(|name| caller.data().ended.contains(name)))
            })
            .unwrap();
        let mut store = Store::new(MODULE.engine(), World { now: NOW, ..World::default() });
        let instance = linker.instantiate(&mut store, &MODULE).unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        Self { store, instance, memory }
    }

    pub(crate) fn load(&mut self, message: &Value) -> Value {
        self.call("load", message)
    }

    pub(crate) fn begin(&mut self, message: &Value) -> Value {
        self.call("begin", message)
    }

    pub(crate) fn resume(&mut self, id: &Value, result: &Value) -> Value {
        self.call("resume", &json!({ "id": id, "result": result }))
    }

    pub(crate) fn forget(&mut self, id: u32) {
        let forget = self.instance.get_typed_func::<u32, ()>(&mut self.store, "forget").unwrap();
        forget.call(&mut self.store, id).unwrap();
    }

    pub(crate) fn admits(&mut self, id: &Value, text: &str) -> bool {
        let bytes = u32::try_from(text.len()).unwrap();
        let address = self.alloc(bytes);
        self.memory.write(&mut self.store, address as usize, text.as_bytes()).unwrap();
        let admits = self.instance.get_typed_func::<(u32, u32, u32), u32>(&mut self.store, "admits").unwrap();
        admits.call(&mut self.store, (u32::try_from(id.as_u64().unwrap()).unwrap(), address, bytes)).unwrap() == 1
    }

    pub(crate) fn alloc(&mut self, bytes: u32) -> u32 {
        let alloc = self.instance.get_typed_func::<u32, u32>(&mut self.store, "alloc").unwrap();
        alloc.call(&mut self.store, bytes).unwrap()
    }

    /// Calls an export with an address and a length, whatever is there.
    pub(crate) fn call_at(&mut self, export: &str, address: u32, bytes: u32) -> wasmtime::Result<u64> {
        self.instance.get_typed_func::<(u32, u32), u64>(&mut self.store, export).unwrap().call(&mut self.store, (address, bytes))
    }

    pub(crate) fn release(&mut self, address: u32, bytes: u32) -> wasmtime::Result<()> {
        self.instance.get_typed_func::<(u32, u32), ()>(&mut self.store, "release").unwrap().call(&mut self.store, (address, bytes))
    }

    fn call(&mut self, export: &str, message: &Value) -> Value {
        self.call_with(export, &serde_json::to_vec(message).unwrap())
    }

    pub(crate) fn call_with(&mut self, export: &str, message: &[u8]) -> Value {
        let bytes = u32::try_from(message.len()).unwrap();
        let address = self.alloc(bytes);
        assert_ne!(address, 0);
        self.memory.write(&mut self.store, address as usize, message).unwrap();
        let place = self.call_at(export, address, bytes).unwrap();
        let (address, bytes) = ((place >> 32) as u32, place as u32);
        let answer = serde_json::from_slice(&self.memory.data(&self.store)[address as usize..][..bytes as usize]).unwrap();
        self.release(address, bytes).unwrap();
        answer
    }
}
