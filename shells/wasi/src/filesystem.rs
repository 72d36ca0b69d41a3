//! Files in the folders that the host has mounted.

use crate::bindings::wasi::filesystem::preopens::get_directories;
use crate::bindings::wasi::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};
use crate::mounts;

/// What is asked for in one read.
const CHUNK_BYTES: u64 = 64 << 10;

/// The text of a file of at most this many bytes; `None` when no folder has it.
pub(crate) fn read_text(path: &str, max_bytes: usize) -> Result<Option<String>, String> {
    let (folders, names): (Vec<_>, Vec<_>) = get_directories().into_iter().unzip();
    for (index, rest) in mounts::candidates(&names, path) {
        let Some(folder) = folders.get(index) else { continue };
        let file = match folder.open_at(PathFlags::SYMLINK_FOLLOW, &rest, OpenFlags::empty(), DescriptorFlags::READ) {
            Ok(file) => file,
            Err(ErrorCode::NoEntry | ErrorCode::NotDirectory) => continue,
            Err(code) => return Err(code.message().to_owned()),
        };
        return text(&file, max_bytes).map(Some);
    }
    Ok(None)
}

fn text(file: &Descriptor, max_bytes: usize) -> Result<String, String> {
    let mut bytes = Vec::new();
    loop {
        let (chunk, at_end) = file.read(CHUNK_BYTES, bytes.len() as u64).map_err(|code| code.message().to_owned())?;
        let nothing = chunk.is_empty();
        bytes.extend(chunk);
        if bytes.len() > max_bytes {
            return Err(format!("it is longer than {max_bytes} bytes"));
        }
        if at_end || nothing {
            break;
        }
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}
