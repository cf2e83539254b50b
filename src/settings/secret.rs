//! Secrets in variables, or in files that variables name: containers get secrets as files, because the variables of a
//! process are visible to more people.

use std::path::Path;

use super::{Env, value};
use crate::error::{Error, Result};
use crate::regular_file;
use crate::secrets::Hidden;

/// Maximum size of a file with a secret in bytes.
const MAX_BYTES: u64 = 64 << 10;

/// The secret in `variable`, or in the file that `file_variable` names, without the spaces and line breaks around it;
/// `None` if neither is set. A value that is not text counts as not set: an error could show it.
pub(super) fn of(env: Env<'_>, variable: &str, file_variable: &str) -> Result<Option<Hidden>> {
    let text = value(env, variable)
        .and_then(|text| text.into_string().ok())
        .filter(|text| !text.trim().is_empty());
    let text = match (text, value(env, file_variable)) {
        (Some(_), Some(_)) => {
            return Err(
                Error::invalid(format!("`{variable}` and `{file_variable}` are both set"))
                    .hint("unset one of them"),
            );
        }
        (text, None) => text,
        (None, Some(file)) => Some(read(Path::new(&file), file_variable)?),
    };
    Ok(text.map(|text| Hidden(text.trim().to_owned())))
}

fn read(file: &Path, variable: &str) -> Result<String> {
    let place = || format!("`{variable}`: {}", file.display());
    // It may be a link, as in the volumes of Kubernetes.
    let bytes = regular_file::read(file, MAX_BYTES, regular_file::Links::Follow)
        .map_err(|error| Error::invalid(format!("{} cannot be read", place())).source(error))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::invalid(format!("{} is not UTF-8 text", place())))?;
    if text.trim().is_empty() {
        return Err(Error::invalid(format!("{} is empty", place())));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    #[test]
    fn a_secret_comes_from_a_variable_or_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.into_os_string()
        };
        let good = file("good", b" s3cret\r\n");
        let of = |text: Option<&str>, path: Option<&OsString>| {
            let env = |name: &str| match name {
                "KEY" => text.map(OsString::from),
                _ => path.cloned(),
            };
            of(&env, "KEY", "KEY_FILE").map(|secret| secret.map(|Hidden(text)| text))
        };
        let s3cret = Some("s3cret".to_owned());
        assert_eq!(of(None, None).unwrap(), None);
        assert_eq!(of(Some(" \n"), None).unwrap(), None);
        assert_eq!(of(Some(" s3cret "), None).unwrap(), s3cret);
        assert_eq!(of(None, Some(&good)).unwrap(), s3cret);
        let both = of(Some("other"), Some(&good)).unwrap_err();
        assert!(both.message.contains("both set"), "{both}");
        let missing = folder.path().join("missing").into_os_string();
        for (path, what) in [
            (missing, "cannot be read"),
            (folder.path().into(), "cannot be read"),
            (file("empty", b"\n"), "is empty"),
            (file("bytes", b"\xff\xfe"), "is not UTF-8"),
            (
                file("long", &vec![b'x'; (MAX_BYTES + 1) as usize]),
                "cannot be read",
            ),
        ] {
            let error = of(None, Some(&path)).unwrap_err();
            assert!(error.message.contains(what), "{error}");
            assert!(error.message.contains("`KEY_FILE`"), "{error}");
        }
    }
}
