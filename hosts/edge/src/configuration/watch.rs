//! Files that may change: when one of them was replaced, or closed by whoever has written it.
//!
//! 1. A path is followed component by component, through every link, and each folder on the way is watched for the name
//!    that leads on. So a folder that is replaced is noticed, and a link: Kubernetes replaces the link `..data`.
//! 2. The file itself is watched as well: its other names, and what is mounted over one, are no entries of these folders.
//! 3. *Being written* is a file that was made, or written to, and not closed since. One that is renamed into place, or linked
//!    there, is whole at once.
//! 4. Where the system tells (a read lease, for files that are this user's own), a file that any process has open for writing
//!    is being written, whatever was noticed.
//!
//! Only Linux tells any of this. On other systems nothing changes, and no file is being written.

#[cfg(target_os = "linux")]
pub use linux::{Watch, is_open_for_writing};
#[cfg(not(target_os = "linux"))]
pub use other::{Watch, is_open_for_writing};

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::{HashMap, HashSet, VecDeque};
    use std::ffi::{OsStr, OsString};
    use std::fs::{self, File, Metadata};
    use std::io;
    use std::mem::MaybeUninit;
    use std::os::fd::{AsRawFd as _, OwnedFd};
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::{Component, Path, PathBuf};

    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
    use rustix::io::Errno;
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;
    use tokio::signal::unix::{Signal, SignalKind, signal};

    /// As many links as Linux follows.
    const MAX_LINKS: usize = 40;
    /// Some hundred events, each with a name of at most 255 bytes.
    const BUFFER_BYTES: usize = 16 * 1024;

    /// Watches the files it is told to follow.
    pub struct Watch {
        inotify: AsyncFd<OwnedFd>,
        /// By the number that the system has given.
        places: HashMap<i32, Place>,
        /// By which files: another one may be in the place of it by now.
        being_written: HashMap<PathBuf, Identity>,
        /// A process that opens a file for writing in the moment of [`is_open_for_writing`] has this process told by SIGIO,
        /// which would end it.
        _lease_broken: Signal,
    }

    /// Device and number of a file.
    type Identity = (u64, u64);

    /// A folder, or a file, that something leads through.
    #[derive(Default)]
    struct Place {
        path: PathBuf,
        identity: Option<Identity>,
        /// In a folder: the names that lead on, and the followed files that they are the last name of.
        names: HashMap<OsString, HashSet<PathBuf>>,
        /// The followed files that this one is.
        is: HashSet<PathBuf>,
    }

    impl Watch {
        /// Watches nothing yet.
        ///
        /// # Errors
        /// The system gives no more of this kind.
        pub fn new() -> io::Result<Self> {
            let inotify = register(inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?)?;
            let (places, being_written) = (HashMap::new(), HashMap::new());
            Ok(Self { inotify, places, being_written, _lease_broken: signal(SignalKind::io())? })
        }

        /// Follows these files from now on, as their paths lead now, and no others. To be repeated after each change.
        pub fn follow(&mut self, files: &[PathBuf]) {
            let before = std::mem::take(&mut self.places);
            for file in files {
                self.follow_one(file);
            }
            for number in before.into_keys().filter(|number| !self.places.contains_key(number)) {
                // One that is gone already is what was wanted.
                let _ = inotify::remove_watch(&self.inotify, number);
            }
            self.being_written.retain(|file, _| files.contains(file));
        }

        /// Waits until a file may be another than before, and is not being written.
        pub async fn changed(&mut self) {
            loop {
                match self.inotify.readable().await {
                    Ok(mut ready) => ready.clear_ready(),
                    Err(_) => std::future::pending().await,
                }
                if self.news() {
                    return;
                }
            }
        }

        /// Whether a file may be another than at the last look, as [`Self::changed`], without waiting.
        pub fn news(&mut self) -> bool {
            let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
            let mut noticed = Vec::new();
            let mut reader = Reader::new(self.inotify.get_ref(), &mut buffer);
            loop {
                match reader.next() {
                    Ok(event) => {
                        let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()).to_owned());
                        noticed.push((event.wd(), event.events(), name));
                    }
                    Err(Errno::INTR) => {}
                    // There is no other.
                    Err(_) => break,
                }
            }
            let mut news = false;
            for (number, events, name) in noticed {
                news |= self.is_news(number, events, name);
            }
            news
        }

        /// Whether this file was made or written to, and not closed since.
        pub fn is_being_written(&self, file: &Path) -> bool {
            let marked = self.being_written.get(file);
            marked.is_some_and(|marked| fs::metadata(file).is_ok_and(|metadata| identity(&metadata) == *marked))
        }

        fn is_news(&mut self, number: i32, events: ReadFlags, name: Option<OsString>) -> bool {
            if events.contains(ReadFlags::QUEUE_OVERFLOW) {
                // Anything may have been missed, the end of a writing as well.
                self.being_written.clear();
                return true;
            }
            let Some(place) = self.places.get(&number) else { return false };
            let files = match &name {
                Some(name) => match place.names.get(name) {
                    Some(files) => files,
                    None => return false,
                },
                None => &place.is,
            };
            let made = name.filter(|_| events.contains(ReadFlags::CREATE)).and_then(|name| new_file(&place.path.join(name)));
            let written = place.identity.filter(|_| events.contains(ReadFlags::MODIFY));
            if let Some(identity) = made.or(written) {
                for file in files {
                    tracing::debug!(code = "configuration.being_written", "{} is being written", file.display());
                    self.being_written.insert(file.clone(), identity);
                }
                return false;
            }
            if events.intersects(ReadFlags::CLOSE_WRITE | ReadFlags::MOVED_TO) {
                for file in files {
                    self.being_written.remove(file);
                }
            }
            !events.contains(ReadFlags::IGNORED)
        }

        fn follow_one(&mut self, file: &Path) {
            // Without a working directory there is nothing that a relative path is relative to.
            let Ok(path) = std::path::absolute(file) else { return };
            let mut left: VecDeque<OsString> = names(&path).collect();
            let mut at = PathBuf::from("/");
            let mut links = 0;
            while let Some(name) = left.pop_front() {
                if name == ".." {
                    at.pop();
                    continue;
                }
                let next = at.join(&name);
                // First the watch, then the look: nothing is missed in between. A folder that may be walked through and
                // not be read cannot be watched.
                if let Some(folder) = self.watch(&at, folder_flags()) {
                    let last_of = folder.names.entry(name).or_default();
                    if left.is_empty() {
                        last_of.insert(file.to_owned());
                    }
                }
                let Ok(metadata) = fs::symlink_metadata(&next) else { return };
                match fs::read_link(&next).ok().filter(|_| metadata.is_symlink()) {
                    Some(target) => {
                        links += 1;
                        if links > MAX_LINKS {
                            return;
                        }
                        if target.is_absolute() {
                            at = PathBuf::from("/");
                        }
                        names(&target).rev().for_each(|name| left.push_front(name));
                    }
                    None => at = next,
                }
            }
            if fs::metadata(&at).is_ok_and(|metadata| metadata.is_file())
                && let Some(place) = self.watch(&at, file_flags())
            {
                place.is.insert(file.to_owned());
            }
        }

        fn watch(&mut self, path: &Path, flags: WatchFlags) -> Option<&mut Place> {
            let number = inotify::add_watch(&self.inotify, path, flags).ok()?;
            let place = self.places.entry(number).or_default();
            path.clone_into(&mut place.path);
            place.identity = fs::metadata(path).ok().map(|metadata| identity(&metadata));
            Some(place)
        }
    }

    #[expect(unsafe_code, reason = "Tokio has no other way to wait for a descriptor of this kind")]
    fn register(inotify: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
        // SAFETY: an `OwnedFd` is open until it is dropped, and nobody can take its descriptor out of it.
        let registered = unsafe { AsyncFd::register_with_interest(inotify, Interest::READABLE) };
        registered.map_err(io::Error::from)
    }

    fn folder_flags() -> WatchFlags {
        WatchFlags::ONLYDIR
            | WatchFlags::CREATE
            | WatchFlags::MOVED_TO
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
    }

    fn file_flags() -> WatchFlags {
        WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE | WatchFlags::ATTRIB
    }

    /// The names in a path, `..` included.
    fn names(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
        path.components().filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
    }

    fn identity(metadata: &Metadata) -> Identity {
        (metadata.dev(), metadata.ino())
    }

    /// A name that has just appeared, if it is a file that is about to be written: no link, no folder, and no second name of
    /// a file that was there.
    fn new_file(path: &Path) -> Option<Identity> {
        let metadata = fs::symlink_metadata(path).ok()?;
        (metadata.is_file() && metadata.nlink() == 1).then(|| identity(&metadata))
    }

    /// Whether any process has the file open for writing; `None` when the system does not tell: it does for files of this
    /// user's own, on most file systems.
    pub fn is_open_for_writing(file: &File) -> Option<bool> {
        match lease(file, libc::F_RDLCK) {
            Ok(()) => {
                // It has this one's end as well.
                let _ = lease(file, libc::F_UNLCK);
                Some(false)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Some(true),
            Err(_) => None,
        }
    }

    #[expect(unsafe_code, reason = "no library has this call")]
    fn lease(file: &File, kind: libc::c_int) -> io::Result<()> {
        // SAFETY: the descriptor is open for as long as `file` is borrowed, and the third argument is a number.
        match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::fs::File;
    use std::io;
    use std::path::{Path, PathBuf};

    /// Notices nothing.
    pub struct Watch;

    impl Watch {
        /// # Errors
        /// Always: this system is not asked.
        pub fn new() -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub fn follow(&mut self, _: &[PathBuf]) {}

        pub async fn changed(&mut self) {
            std::future::pending().await
        }

        pub fn news(&mut self) -> bool {
            false
        }

        pub fn is_being_written(&self, _: &Path) -> bool {
            false
        }
    }

    pub fn is_open_for_writing(_: &File) -> Option<bool> {
        None
    }
}
