//! Which mounted folder has a path: hosts name the folders that they give to a component, `/`, `.` or `/conf` for
//! example, and a path is looked for in those whose name it begins with.

/// For each folder that may have the path, its index and what is left of the path in it; the most specific first.
/// A relative path is one below `.` and below `/`: components have no other working folder.
pub fn candidates(folders: &[String], path: &str) -> Vec<(usize, String)> {
    let wanted = parts(path);
    let mut found: Vec<_> = folders
        .iter()
        .enumerate()
        .filter_map(|(index, folder)| {
            let folder = parts(folder);
            let rest = wanted.strip_prefix(folder.as_slice())?;
            (!rest.is_empty()).then(|| (folder.len(), index, rest.join("/")))
        })
        .collect();
    found.sort_by_key(|(depth, ..)| std::cmp::Reverse(*depth));
    found.into_iter().map(|(_, index, rest)| (index, rest)).collect()
}

/// Without empty parts and `.`. What `..` leads to is the host's to say.
fn parts(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(folders: &[&str], path: &str, expected: &[(usize, &str)]) {
        let folders: Vec<_> = folders.iter().map(|&folder| folder.to_owned()).collect();
        let found = candidates(&folders, path);
        let found: Vec<_> = found.iter().map(|(index, rest)| (*index, rest.as_str())).collect();
        assert_eq!(found, expected, "{path} in {folders:?}");
    }

    #[test]
    fn a_path_is_looked_for_in_the_folders_that_it_begins_with() {
        check(&["/"], "secrets.toml", &[(0, "secrets.toml")]);
        check(&["."], "secrets.toml", &[(0, "secrets.toml")]);
        check(&["."], "./conf/secrets.toml", &[(0, "conf/secrets.toml")]);
        check(&["/conf", "/"], "/conf/secrets.toml", &[(0, "secrets.toml"), (1, "conf/secrets.toml")]);
        check(&["/", "/conf/"], "conf//secrets.toml", &[(1, "secrets.toml"), (0, "conf/secrets.toml")]);
        check(&["/conf"], "/configuration/secrets.toml", &[]);
        check(&["/conf"], "/conf", &[]);
        check(&["/conf"], "secrets.toml", &[]);
        check(&[], "secrets.toml", &[]);
    }
}
