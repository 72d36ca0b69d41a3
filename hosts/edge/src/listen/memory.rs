//! Memory that connections have left behind: the allocator keeps what was freed for the next ones, and gives it back when
//! it is told to.

use std::time::Duration;

/// How often [`Freed::look`] is to be called.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// Fewer connections leave nothing behind that matters.
const MANY: usize = 256;

/// Half of the connections may be gone at the first look, the others a little later: it is looked again for most of a minute.
const LOOKS: u32 = 5;

/// How many connections there were at most since memory was given back.
#[derive(Debug, Default)]
pub struct Freed {
    most: usize,
    looks_left: u32,
}

impl Freed {
    /// There are so many now.
    pub fn note(&mut self, connections: usize) {
        self.most = self.most.max(connections);
    }

    /// Gives memory back when most of many connections have ended.
    pub fn look(&mut self, connections: usize) {
        if self.is_due(connections) {
            // It takes the allocator's locks, one after the other, for some milliseconds.
            drop(tokio::task::spawn_blocking(vestibule_wasmtime::give_back_memory));
        }
    }

    fn is_due(&mut self, connections: usize) -> bool {
        if self.most >= MANY && connections < self.most / 2 {
            self.most = connections;
            self.looks_left = LOOKS;
        }
        let is_due = self.looks_left > 0;
        self.looks_left = self.looks_left.saturating_sub(1);
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_when_many_connections_have_ended() {
        let mut freed = Freed::default();
        let few = MANY - 1;
        freed.note(few);
        assert!(!freed.is_due(0), "few leave nothing behind");
        freed.note(1000);
        assert!(!freed.is_due(1000) && !freed.is_due(500), "they are there");
        for connections in [400, 100, 0, 0, 0, 0] {
            assert!(freed.is_due(connections), "the others end a little later");
        }
        assert!(!freed.is_due(0));
        freed.note(300);
        assert!(!freed.is_due(300) && freed.is_due(1));
    }
}
