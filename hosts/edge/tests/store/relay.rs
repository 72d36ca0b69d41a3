//! Between a node and Redis: a connection that is cut in the middle of a command.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};

/// A relay that cuts a connection when so many bytes have come of the node.
pub(crate) struct Relay {
    pub(crate) url: String,
    left: Arc<AtomicUsize>,
    cuts: Arc<AtomicUsize>,
}

impl Relay {
    pub(crate) async fn start(server: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("redis://{}", listener.local_addr().expect("an address"));
        let (left, cuts) = (Arc::new(AtomicUsize::new(usize::MAX)), Arc::new(AtomicUsize::new(0)));
        let relay = Self { url, left: left.clone(), cuts: cuts.clone() };
        tokio::spawn(async move {
            while let Ok((node, _)) = listener.accept().await {
                tokio::spawn(pass(node, server.clone(), left.clone(), cuts.clone()));
            }
        });
        relay
    }

    /// Cuts a connection after so many bytes more.
    pub(crate) fn cut_after(&self, bytes: usize) {
        self.left.store(bytes, Ordering::SeqCst);
    }

    pub(crate) fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }
}

async fn pass(node: TcpStream, server: PathBuf, left: Arc<AtomicUsize>, cuts: Arc<AtomicUsize>) {
    let Ok(server) = UnixStream::connect(server).await else { return };
    let ((mut from_node, mut to_node), (mut from_server, mut to_server)) = (node.into_split(), server.into_split());
    let answers = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_node).await });
    let mut buffer = vec![0; 4096];
    while let Ok(read @ 1..) = from_node.read(&mut buffer).await {
        let before = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            Some(if left == usize::MAX { left } else { left.saturating_sub(read) })
        });
        let before = before.unwrap_or(usize::MAX);
        if before < read {
            // A part of the command arrives, and its answer never.
            let _ = to_server.write_all(&buffer[..before]).await;
            left.store(usize::MAX, Ordering::SeqCst);
            cuts.fetch_add(1, Ordering::SeqCst);
            break;
        }
        if to_server.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    answers.abort();
}
