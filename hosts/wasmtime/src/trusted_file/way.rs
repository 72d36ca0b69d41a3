//! The way to a file, from the root, one opened folder after the other.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, openat, readlinkat, statat};

use super::private_group::is_private;
use super::{PlaceKind, Reason, Wanted, Weakness};

/// As many as Linux follows.
const MAX_LINKS: usize = 40;

const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;
const ROOT: u32 = 0;

/// Permission to pass through a folder is enough to open it.
#[cfg(any(target_os = "linux", target_os = "android"))]
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

const FILE: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NOCTTY);

/// A pipe without a writer is not waited for.
const PLAIN_FILE: OFlags = FILE.union(OFlags::NONBLOCK);

/// The file, and why others than `user` and root can change it.
pub(super) fn open(path: &Path, user: u32, wanted: Wanted) -> io::Result<(File, Vec<Reason>)> {
    match go(path, user, wanted)? {
        // Another kind may have taken its place since it was looked at.
        (Some(file), _) if wanted == Wanted::PlainFile && !file.metadata()?.is_file() => Err(no_plain_file()),
        (Some(file), reasons) => Ok((file, reasons)),
        (None, _) => Err(io::Error::from(io::ErrorKind::IsADirectory)),
    }
}

/// Why others can change a file, or what is directly in a folder.
pub(super) fn judge(path: &Path, user: u32) -> io::Result<Vec<Reason>> {
    go(path, user, Wanted::Judgement).map(|(_, reasons)| reasons)
}

fn no_plain_file() -> io::Error {
    io::Error::other("it is a pipe, a socket or a device, not a regular file")
}

/// No file when it is a folder that the way ends at.
fn go(path: &Path, user: u32, wanted: Wanted) -> io::Result<(Option<File>, Vec<Reason>)> {
    let flags = match wanted {
        Wanted::Anything => FILE,
        Wanted::PlainFile | Wanted::Judgement => PLAIN_FILE,
    };
    let mut rest: VecDeque<OsString> = parts(&std::path::absolute(path)?).collect();
    let mut links = 0;
    let mut way = Way::from_root(user)?;
    while let Some(part) = rest.pop_front() {
        let is_last = rest.is_empty();
        if part == Component::RootDir.as_os_str() {
            way.go_to_root()?;
            continue;
        }
        let found = statat(&way.folder, &*part, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(found.st_mode) {
            FileType::Symlink if is_last && is_of_proc(&way.folder) => {
                let file = File::from(openat(&way.folder, &*part, flags, Mode::empty())?);
                way.judge_file(&part, &file)?;
                return Ok((Some(file), way.reasons));
            }
            FileType::Symlink => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(rustix::io::Errno::LOOP.into());
                }
                way.judge_link(&part, found.st_uid);
                let target = readlinkat(&way.folder, &*part, Vec::new())?;
                let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
                    rest.push_front(part);
                }
            }
            FileType::Directory => way.enter(&part)?,
            // To open a device can have effects.
            kind if is_last && wanted == Wanted::PlainFile && kind != FileType::RegularFile => return Err(no_plain_file()),
            _ if is_last => {
                let file = File::from(openat(&way.folder, &*part, flags | OFlags::NOFOLLOW, Mode::empty())?);
                way.judge_file(&part, &file)?;
                return Ok((Some(file), way.reasons));
            }
            _ => return Err(io::Error::from(io::ErrorKind::NotADirectory)),
        }
    }
    Ok((None, way.reasons))
}

/// The parts of a path, `/` and `..` included.
fn parts(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter(|part| *part != Component::CurDir).map(|part| part.as_os_str().to_owned())
}

/// Where the way has come to.
struct Way {
    folder: File,
    /// For messages only.
    path: PathBuf,
    user: u32,
    reasons: Vec<Reason>,
}

impl Way {
    fn from_root(user: u32) -> io::Result<Way> {
        let folder = File::from(openat(CWD, "/", FOLDER, Mode::empty())?);
        let mut way = Way { folder, path: "/".into(), user, reasons: Vec::new() };
        way.judge_folder()?;
        Ok(way)
    }

    fn go_to_root(&mut self) -> io::Result<()> {
        self.folder = File::from(openat(CWD, "/", FOLDER, Mode::empty())?);
        self.path = "/".into();
        Ok(())
    }

    fn enter(&mut self, part: &OsStr) -> io::Result<()> {
        self.folder = File::from(openat(&self.folder, part, FOLDER | OFlags::NOFOLLOW, Mode::empty())?);
        if part == Component::ParentDir.as_os_str() {
            self.path.pop();
        } else {
            self.path.push(part);
        }
        self.judge_folder()
    }

    fn judge_folder(&mut self) -> io::Result<()> {
        let metadata = self.folder.metadata()?;
        let mode = if metadata.mode() & STICKY == 0 { metadata.mode() } else { 0 };
        let more = has_access_list(&self.folder);
        self.add(self.path.clone(), PlaceKind::Folder, metadata.uid(), metadata.gid(), mode, more);
        Ok(())
    }

    fn judge_file(&mut self, name: &OsStr, file: &File) -> io::Result<()> {
        let metadata = file.metadata()?;
        self.add(self.path.join(name), PlaceKind::File, metadata.uid(), metadata.gid(), metadata.mode(), has_access_list(file));
        Ok(())
    }

    /// A link's own permissions mean nothing: who may replace it is the folder's.
    fn judge_link(&mut self, name: &OsStr, owner: u32) {
        self.add(self.path.join(name), PlaceKind::Link, owner, ROOT, 0, false);
    }

    /// `has_access_list`: the group's permissions are those that users named in a list have at most, and say nothing of the
    /// group alone (acl(5)).
    fn add(&mut self, place: PathBuf, kind: PlaceKind, owner: u32, group: u32, mode: u32, has_access_list: bool) {
        let in_private_group = || !has_access_list && is_private(group, self.user);
        let Some(weakness) = weakness(owner, mode, self.user, in_private_group) else { return };
        let reason = Reason { place, kind, weakness };
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }
}

/// `in_private_group`: whether nobody but the user is in the group.
fn weakness(owner: u32, mode: u32, user: u32, in_private_group: impl FnOnce() -> bool) -> Option<Weakness> {
    if owner != user && owner != ROOT {
        return Some(Weakness::Owner { owner, user });
    }
    let others_write = mode & OTHERS_WRITE != 0 || (mode & GROUP_WRITES != 0 && !in_private_group());
    others_write.then_some(Weakness::Mode(mode))
}

/// Whether users and groups have permissions of their own there; yes, where that cannot be told.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn has_access_list(file: &File) -> bool {
    use std::os::fd::AsRawFd as _;

    use rustix::io::Errno;

    // A descriptor that only stands for a path has no attributes of its own, its link in `/proc` has.
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    let size = rustix::fs::getxattr(link, "system.posix_acl_access", &mut [0; 0]);
    !matches!(size, Err(Errno::NODATA | Errno::OPNOTSUPP))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn has_access_list(_: &File) -> bool {
    false
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_of_proc(folder: &File) -> bool {
    rustix::fs::fstatfs(folder).is_ok_and(|system| system.f_type == rustix::fs::PROC_SUPER_MAGIC)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_of_proc(_: &File) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, chown, lchown, symlink};

    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    /// Somebody else.
    const OTHER: u32 = 4242;

    fn me() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    /// Only root can give files away.
    fn can_chown() -> bool {
        me() == ROOT
    }

    /// The bits by which others write to what this user makes here.
    fn writing_of_others(path: &Path) -> u32 {
        if is_private(fs::metadata(path).unwrap().gid(), me()) { OTHERS_WRITE } else { GROUP_WRITES | OTHERS_WRITE }
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    /// A folder with a file in it, both safe.
    fn file() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        set_mode(&inner, 0o755);
        let file = inner.join("file");
        fs::write(&file, "content").unwrap();
        set_mode(&file, 0o644);
        (folder, file)
    }

    fn open(path: &Path, user: u32) -> io::Result<(File, Vec<Reason>)> {
        super::open(path, user, Wanted::Anything)
    }

    fn reasons(path: &Path) -> Vec<Reason> {
        open(path, me()).unwrap().1
    }

    fn reason(place: &Path, kind: PlaceKind, weakness: Weakness) -> Vec<Reason> {
        vec![Reason { place: place.into(), kind, weakness }]
    }

    /// Every mode of a file and of its folder, by every kind of owner, and for every user.
    #[test]
    fn a_file_is_refused_exactly_when_its_group_or_others_may_write_to_it() {
        let (_folder, file) = file();
        for mode in 0..=0o777 {
            set_mode(&file, mode);
            // Root reads files of any mode.
            if me() != ROOT && mode & 0o400 == 0 {
                continue;
            }
            let found = reasons(&file);
            if mode & writing_of_others(&file) == 0 {
                assert_eq!(found, [], "{mode:o}");
            } else {
                let [Reason { place, weakness: Weakness::Mode(told), .. }] = &found[..] else { panic!("{mode:o}: {found:?}") };
                assert_eq!((place, told & 0o777), (&file, mode), "{mode:o}");
            }
        }
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused_but_with_the_sticky_bit() {
        let (_folder, file) = file();
        let inner = file.parent().unwrap();
        for mode in 0..=0o7777 {
            // Without permission to pass through it, only root does.
            if me() != ROOT && mode & 0o100 == 0 {
                continue;
            }
            set_mode(inner, mode);
            let safe = mode & writing_of_others(inner) == 0 || mode & 0o1000 != 0;
            assert_eq!(reasons(&file).is_empty(), safe, "{mode:o}");
        }
        set_mode(inner, 0o755);
    }

    #[test]
    fn a_pipe_that_nobody_writes_to_is_judged_and_not_waited_for() {
        let (folder, _) = file();
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(CWD, &pipe, Mode::from_raw_mode(0o600)).unwrap();
        for (mode, is_safe) in [(0o600, true), (0o602, false)] {
            set_mode(&pipe, mode);
            let (send, receive) = std::sync::mpsc::channel();
            let path = pipe.clone();
            std::thread::spawn(move || send.send(judge(&path, me()).map(|found| found.is_empty()).ok()));
            assert_eq!(receive.recv_timeout(std::time::Duration::from_secs(5)), Ok(Some(is_safe)), "{mode:o}");
        }
    }

    #[test]
    fn a_folder_further_up_counts_as_well() {
        let (folder, file) = file();
        set_mode(folder.path(), 0o777);
        assert!(matches!(&reasons(&file)[..], [Reason { place, .. }] if place == folder.path()));
        set_mode(folder.path(), 0o700);
    }

    #[test]
    fn files_folders_and_links_of_others_are_refused_and_those_of_root_are_not() {
        if !can_chown() {
            return;
        }
        let (folder, file) = file();
        let inner = file.parent().unwrap();
        let link = folder.path().join("link");
        symlink("inner/file", &link).unwrap();
        let owner = Weakness::Owner { owner: OTHER, user: me() };
        for mode in 0..=0o777 {
            set_mode(&file, mode);
            chown(&file, Some(OTHER), None).unwrap();
            assert_eq!(reasons(&file), reason(&file, PlaceKind::File, owner), "{mode:o}");
            chown(&file, Some(ROOT), None).unwrap();
        }
        set_mode(&file, 0o644);
        chown(inner, Some(OTHER), None).unwrap();
        assert_eq!(reasons(&file), reason(inner, PlaceKind::Folder, owner));
        chown(inner, Some(ROOT), None).unwrap();
        lchown(&link, Some(OTHER), None).unwrap();
        assert_eq!(reasons(&link), reason(&link, PlaceKind::Link, owner));
        lchown(&link, Some(ROOT), None).unwrap();
        assert_eq!(reasons(&link), []);
        // As that user sees it: root's are safe, his own are, a third one's are not.
        for (owner, safe) in [(OTHER, true), (ROOT, true), (OTHER + 1, false)] {
            chown(&file, Some(owner), None).unwrap();
            let (_, found) = open(&file, OTHER).unwrap();
            assert_eq!(found.iter().any(|reason| reason.place == file), !safe, "{owner}");
        }
    }

    #[test]
    fn every_link_of_a_chain_is_followed_and_judged() {
        let (folder, file) = file();
        let inner = file.parent().unwrap();
        let outside = folder.path().join("outside");
        fs::create_dir(&outside).unwrap();
        symlink("../outside/hop", inner.join("first")).unwrap();
        symlink(inner, outside.join("hop")).unwrap();
        let path = inner.join("first/../inner/./file");
        assert_eq!(reasons(&path), []);
        set_mode(&outside, 0o777);
        assert!(matches!(&reasons(&path)[..], [Reason { place, weakness: Weakness::Mode(_), .. }] if *place == outside));
        set_mode(&outside, 0o1777);
        assert_eq!(reasons(&path), []);
        if can_chown() {
            // In a folder like /tmp anybody can put a link.
            lchown(outside.join("hop"), Some(OTHER), None).unwrap();
            assert_eq!(reasons(&path), reason(&outside.join("hop"), PlaceKind::Link, Weakness::Owner { owner: OTHER, user: me() }));
        }
    }

    /// A volume of Kubernetes: a folder like /tmp, `..data` a link to the folder of the day.
    #[test]
    fn a_secret_that_kubernetes_mounts_is_safe() {
        let folder = tempfile::tempdir().unwrap();
        for (day, volume_mode, file_mode) in [("..2026_11_26_10_00_00.1", 0o1777, 0o644), ("..2026_11_27_10_00_00.2", 0o3777, 0o440)] {
            let of_today = folder.path().join(day);
            fs::create_dir(&of_today).unwrap();
            set_mode(&of_today, 0o755);
            fs::write(of_today.join("secrets.toml"), "").unwrap();
            set_mode(&of_today.join("secrets.toml"), file_mode);
            let data = folder.path().join("..data");
            let _ = fs::remove_file(&data);
            symlink(day, &data).unwrap();
            if !folder.path().join("secrets.toml").is_symlink() {
                symlink("..data/secrets.toml", folder.path().join("secrets.toml")).unwrap();
            }
            set_mode(folder.path(), volume_mode);
            assert_eq!(reasons(&folder.path().join("secrets.toml")), [], "{day}");
        }
    }

    #[test]
    fn links_in_a_circle_and_folders_are_no_files() {
        let (folder, file) = file();
        let circle = folder.path().join("circle");
        symlink("circle", &circle).unwrap();
        assert_eq!(open(&circle, me()).unwrap_err().raw_os_error(), Some(rustix::io::Errno::LOOP.raw_os_error()));
        assert_eq!(open(folder.path(), me()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        assert_eq!(open(Path::new("/"), me()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        assert_eq!(open(&file.join("x"), me()).unwrap_err().kind(), io::ErrorKind::NotADirectory);
        assert_eq!(open(&folder.path().join("absent"), me()).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(open(Path::new(""), me()).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_descriptor_that_was_given_is_judged_by_itself() {
        use std::os::fd::AsRawFd as _;

        let (folder, file) = file();
        set_mode(folder.path(), 0o777);
        let opened = File::open(&file).unwrap();
        let path = PathBuf::from(format!("/dev/fd/{}", opened.as_raw_fd()));
        assert_eq!(reasons(&path), []);
        set_mode(&file, 0o666);
        assert_eq!(reasons(&path).len(), 1);
        let (reader, mut writer) = io::pipe().unwrap();
        io::Write::write_all(&mut writer, b"through a pipe").unwrap();
        drop(writer);
        let (mut piped, found) = open(Path::new(&format!("/dev/fd/{}", reader.as_raw_fd())), me()).unwrap();
        let mut content = String::new();
        io::Read::read_to_string(&mut piped, &mut content).unwrap();
        assert_eq!((content.as_str(), found), ("through a pipe", vec![]));
    }

    /// An access control list by which `OTHER` may write, in the form of Linux's `posix_acl_xattr.h`.
    #[cfg(target_os = "linux")]
    fn list_for_other() -> Vec<u8> {
        const VERSION: u32 = 2;
        const NOBODY: u32 = u32::MAX;
        const OWNER: u16 = 0x01;
        const USER: u16 = 0x02;
        const GROUP: u16 = 0x04;
        const MASK: u16 = 0x10;
        const OTHERS: u16 = 0x20;
        let entries = [(OWNER, 7_u16, NOBODY), (USER, 7, OTHER), (GROUP, 5, NOBODY), (MASK, 7, NOBODY), (OTHERS, 5, NOBODY)];
        let entry =
            |(tag, permissions, id): (u16, u16, u32)| [&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &id.to_le_bytes()].concat();
        [VERSION.to_le_bytes().to_vec(), entries.into_iter().flat_map(entry).collect()].concat()
    }

    /// Where one of the file systems of this machine's has such lists, the one for temporary files or the one of the build.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_or_folder_that_an_access_control_list_lets_others_write_to_is_refused() {
        use rustix::fs::{XattrFlags, setxattr};
        use rustix::io::Errno;

        let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
        let mut was_tried = false;
        for root in [std::env::temp_dir(), build.canonicalize().expect("the folder of the build")] {
            let folder = tempfile::tempdir_in(&root).unwrap();
            let inner = folder.path().join("inner");
            fs::create_dir(&inner).unwrap();
            set_mode(&inner, 0o755);
            let file = inner.join("file");
            fs::write(&file, "content").unwrap();
            set_mode(&file, 0o644);
            let of_these = || reasons(&file).into_iter().filter(|reason| reason.place.starts_with(folder.path())).collect::<Vec<_>>();
            assert_eq!(of_these(), []);
            for place in [&file, &inner] {
                let usual = fs::metadata(place).unwrap().permissions();
                match setxattr(place, "system.posix_acl_access", &list_for_other(), XattrFlags::empty()) {
                    Err(Errno::OPNOTSUPP) => {
                        eprintln!("the file system of {} has no access control lists", root.display());
                        continue;
                    }
                    set => set.unwrap_or_else(|error| panic!("no access control list on {}: {error}", place.display())),
                }
                was_tried = true;
                let found = of_these();
                assert!(matches!(&found[..], [Reason { place: told, weakness: Weakness::Mode(_), .. }] if told == place), "{found:?}");
                let opened = openat(CWD, place, if place.is_dir() { FOLDER } else { FILE }, Mode::empty()).unwrap();
                assert!(has_access_list(&File::from(opened)), "the group's permissions are not the group's alone");
                rustix::fs::removexattr(place, "system.posix_acl_access").unwrap();
                fs::set_permissions(place, usual).unwrap();
                assert_eq!(of_these(), []);
            }
        }
        if !was_tried {
            eprintln!("no file system here has access control lists: nothing was tested");
        }
    }

    proptest! {
        #[test]
        fn nobody_but_the_user_and_root_ever_writes(owner in 0u32..4, user in 0u32..4, mode in 0u32..0o10000, private: bool) {
            let safe = (owner == user || owner == 0) && mode & if private { 0o002 } else { 0o022 } == 0;
            prop_assert_eq!(weakness(owner, mode, user, || private).is_none(), safe);
        }
    }
}
