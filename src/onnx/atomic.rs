//! Files that appear whole or not at all.

use std::{
    io::{self, BufWriter, Write},
    path::Path,
};

/// Writes a file through a temporary one in the same folder, synced and renamed.
pub fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    let mut buffered = BufWriter::with_capacity(1 << 20, file.as_file_mut());
    fill(&mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    file.as_file().sync_all()?;
    set_permissions(&file)?;
    file.persist(path)?;
    Ok(())
}

/// Writes a value as indented JSON, as [`write()`] does.
pub fn write_json(path: &Path, value: &impl serde::Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    write(path, |out| out.write_all(&text))
}

/// Temporary files are private; results are as readable as any new file.
#[cfg(unix)]
fn set_permissions(file: &tempfile::NamedTempFile) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn set_permissions(_file: &tempfile::NamedTempFile) -> io::Result<()> {
    Ok(())
}
