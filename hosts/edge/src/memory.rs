//! Memory that connections have left behind: the allocator keeps what was freed for the next ones, and gives it back when
//! it is told to.

/// Fewer leave nothing behind that matters.
const MANY: usize = 256;

/// How many connections there were at most since memory was given back.
#[derive(Default)]
pub struct Freed {
    most: usize,
}

impl Freed {
    /// There are so many now.
    pub fn note(&mut self, connections: usize) {
        self.most = self.most.max(connections);
    }

    /// Gives memory back when most of many connections have ended.
    pub fn look(&mut self, connections: usize) {
        if self.most >= MANY && connections < self.most / 2 {
            self.most = connections;
            // It takes the allocator's locks, one after the other, for some milliseconds.
            drop(tokio::task::spawn_blocking(vestibule_wasmtime::give_back_memory));
        }
    }
}
