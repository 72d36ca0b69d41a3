//! The linear memory of one instance: limited, and counted for the [`Observer`].

use std::sync::Arc;

use wasmtime::{ResourceLimiter, Result, StoreLimits, StoreLimitsBuilder};

use crate::observer::Observer;

/// Limits what one store may take, and counts what it has. Memory of WebAssembly never shrinks.
pub(crate) struct Memory {
    limits: StoreLimits,
    bytes: usize,
    observer: Option<Arc<dyn Observer>>,
}

impl Memory {
    /// At most so many bytes.
    pub(crate) fn limited_to(bytes: usize) -> Memory {
        let limits = StoreLimitsBuilder::new()
            .memory_size(bytes)
            // A trap says what happened; a failed growth would surface as an abort without a reason.
            .trap_on_grow_failure(true)
            .build();
        Memory { limits, bytes: 0, observer: None }
    }

    /// From now on `observer` is told: of the instance, of what it has and takes, and of its end.
    pub(crate) fn observe(&mut self, observer: Option<&Arc<dyn Observer>>) {
        if let Some(observer) = observer {
            observer.instance_made();
            observer.memory_grown(self.bytes);
        }
        self.observer = observer.cloned();
    }
}

/// With the store, and so with the instance.
impl Drop for Memory {
    fn drop(&mut self) {
        if let Some(observer) = &self.observer {
            observer.memory_freed(self.bytes);
            observer.instance_retired();
        }
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        let may_grow = self.limits.memory_growing(current, desired, maximum)?;
        if may_grow {
            let more = desired.saturating_sub(current);
            self.bytes = self.bytes.saturating_add(more);
            if let Some(observer) = &self.observer {
                observer.memory_grown(more);
            }
        }
        Ok(may_grow)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> Result<()> {
        self.limits.memory_grow_failed(error)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        self.limits.table_growing(current, desired, maximum)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> Result<()> {
        self.limits.table_grow_failed(error)
    }

    fn instances(&self) -> usize {
        self.limits.instances()
    }

    fn tables(&self) -> usize {
        self.limits.tables()
    }

    fn memories(&self) -> usize {
        self.limits.memories()
    }
}
