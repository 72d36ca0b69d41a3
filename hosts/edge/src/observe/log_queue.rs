//! Lines of the log on their way to a reader that may stall: writing one never waits.
//!
//! A thread writes; everybody else leaves lines in a buffer of fixed size. A line for which there is no room is lost and
//! counted, and so are those after it until the thread has taken the buffer: then it writes, behind the lines of the buffer,
//! how many were lost. Memory is twice the buffer, whatever the reader does.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Some thousand lines: a reader that is busy for a moment costs none.
const BUFFER_BYTES: usize = 1 << 20;

/// Pause before another attempt to write where the other end has set the pipe to return at once when it is full.
const PAUSE: Duration = Duration::from_millis(20);

/// The way to the thread that writes.
#[derive(Clone, Default)]
pub(crate) struct LogQueue(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// There is something to write.
    filled: Condvar,
    /// Nothing is left to write.
    idle: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    /// Lines that came after those and found no room.
    lost: u64,
    /// The thread has taken something and has not written it yet.
    is_writing: bool,
}

impl LogQueue {
    /// Starts to write to `output`; `lost` makes the line that tells a number of lost ones.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start(output: impl Write + Send + 'static, lost: impl Fn(u64) -> Vec<u8> + Send + 'static) -> io::Result<Self> {
        let queue = Self::default();
        let writer = queue.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || writer.write_all(output, lost))?;
        Ok(queue)
    }

    /// Waits until everything is written, for at most `patience`.
    pub(crate) fn flush(&self, patience: Duration) {
        let is_busy = |state: &mut State| state.is_writing || !state.is_empty();
        // Written or not, this is the end.
        let _ = self.0.idle.wait_timeout_while(self.lock(), patience, is_busy);
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.lost == 0 && state.lines.len() + line.len() <= BUFFER_BYTES {
            state.lines.extend_from_slice(line);
        } else {
            state.lost += 1;
        }
        drop(state);
        self.0.filled.notify_one();
    }

    fn write_all(&self, mut output: impl Write, lost_line: impl Fn(u64) -> Vec<u8>) {
        let mut lines = Vec::new();
        loop {
            lines.clear();
            let mut state = self.lock();
            state.is_writing = false;
            if state.is_empty() {
                self.0.idle.notify_all();
            }
            let mut state = self.0.filled.wait_while(state, |state| state.is_empty()).unwrap_or_else(PoisonError::into_inner);
            state.is_writing = true;
            mem::swap(&mut state.lines, &mut lines);
            let lost = mem::take(&mut state.lost);
            drop(state);
            if lost > 0 {
                lines.extend(lost_line(lost));
            }
            write(&mut output, &lines);
        }
    }

    /// What is in there is whole at every moment, a panic elsewhere or not.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.lost == 0
    }
}

/// Writes until all is written, or the other end is gone: then nobody is left to be told.
fn write(output: &mut impl Write, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match output.write(bytes) {
            Ok(0) => return,
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
            Err(_) => return,
        }
    }
}

/// One line.
pub(crate) struct Line<'a>(&'a LogQueue);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogQueue {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    /// A reader that takes what it is asked to.
    struct Reader(SyncSender<Vec<u8>>);

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn queue() -> (LogQueue, Receiver<Vec<u8>>) {
        let (sender, receiver) = sync_channel(0);
        let queue = LogQueue::start(Reader(sender), |lost| format!("lost {lost}\n").into_bytes()).expect("a thread");
        (queue, receiver)
    }

    fn push(queue: &LogQueue, line: &str) {
        assert_eq!(queue.make_writer().write(line.as_bytes()).expect("never fails"), line.len());
    }

    #[test]
    fn what_a_reader_that_stalls_does_not_get_is_counted_and_told_in_its_place() {
        const LINES: usize = 300_000;

        let (queue, reader) = queue();
        (0..LINES).for_each(|number| push(&queue, &format!("{number}\n")));
        let first = reader.recv().expect("what was there first");
        let (last, text) = (reader.recv().expect("what was kept"), String::from_utf8(first).expect("text"));
        push(&queue, "after\n");
        let text = text + std::str::from_utf8(&last).expect("text") + std::str::from_utf8(&reader.recv().expect("the rest")).expect("text");
        let lines: Vec<_> = text.lines().collect();
        let told = lines.iter().position(|line| line.starts_with("lost ")).expect("it is told");
        let lost: usize = lines[told]["lost ".len()..].parse().expect("a number");
        assert!(lines[..told].iter().enumerate().all(|(number, line)| *line == number.to_string()), "none is missing before");
        assert_eq!((told + lost, &lines[told + 1..]), (LINES, &["after"][..]));
        assert!(text.len() <= 2 * BUFFER_BYTES + 100);
    }

    #[test]
    fn a_line_longer_than_the_buffer_is_lost() {
        let (queue, reader) = queue();
        push(&queue, &"x".repeat(BUFFER_BYTES + 1));
        assert_eq!(reader.recv().expect("a line"), b"lost 1\n");
    }

    #[test]
    fn a_flush_waits_for_what_is_to_be_written_but_not_for_ever() {
        let (queue, reader) = queue();
        queue.flush(Duration::from_secs(60));
        push(&queue, "a\n");
        queue.flush(Duration::from_millis(50));
        let waiting = thread::spawn(move || queue.flush(Duration::from_secs(60)));
        assert_eq!(reader.recv().expect("a line"), b"a\n");
        waiting.join().expect("it ends");
    }

    #[test]
    fn a_reader_that_is_gone_stops_nobody() {
        let (queue, reader) = queue();
        drop(reader);
        (0..100_000).for_each(|number| push(&queue, &format!("{number} has nobody to read it\n")));
        queue.flush(Duration::from_secs(60));
    }
}
