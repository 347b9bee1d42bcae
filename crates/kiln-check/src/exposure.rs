//! Secrets where they must not be: I7, fault test 28. Looked for are their bytes, and those in base64 and hexadecimal digits, in
//! the data directory, in what the compressed logs hold, in temporary directories, core files, and in the environments
//! and command lines of the machine's processes.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use kiln_store::logs::LogReader;
use memchr::memmem::Finder;

use crate::{Violation, host};

/// Files of others in temporary directories that are larger are not read.
const LARGEST_OF_OTHERS: u64 = 64 << 20;
/// How deep temporary directories are looked through.
const DEPTH: usize = 6;
/// Directories of the data that hold what builds themselves wrote: their disks, artifacts and caches; and images.
const OF_BUILDS: [&str; 5] = ["disk", "images", "artifacts", "cache", "layers"];

/// A secret in the forms in which it is looked for.
struct Needle {
    secret: String,
    forms: Vec<Finder<'static>>,
}

impl Needle {
    fn new(secret: &str) -> Self {
        let bytes = secret.as_bytes();
        let mut forms = vec![bytes.to_vec(), hex::encode(bytes).into_bytes()];
        // Of base64 the characters that depend on the secret alone, wherever it begins.
        for before in 0..3_usize {
            let padded = [&vec![0; before][..], bytes].concat();
            let encoded = STANDARD_NO_PAD.encode(&padded).into_bytes();
            let inside = encoded.get((before * 8).div_ceil(6)..padded.len() * 8 / 6).unwrap_or_default().to_vec();
            if inside.len() >= 8 {
                forms.push(inside);
            }
        }
        let forms = forms.iter().map(|form| Finder::new(form).into_owned()).collect();
        Self { secret: secret.to_owned(), forms }
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        self.forms.iter().any(|form| form.find(bytes).is_some())
    }
}

/// Where secrets are found; job files are allowed to hold what the user passed.
pub(crate) fn check(data: &Path, secrets: &[String]) -> io::Result<Vec<Violation>> {
    let needles: Vec<Needle> = secrets.iter().filter(|s| !s.is_empty()).map(|s| Needle::new(s)).collect();
    let mut found = Vec::new();
    if needles.is_empty() {
        return Ok(found);
    }
    let mut look = |place: &str, bytes: &[u8]| {
        for needle in needles.iter().filter(|needle| needle.is_in(bytes)) {
            let what = format!("{place} holds the secret '{}'", needle.secret);
            found.push(Violation { invariant: "I7", build: String::new(), what });
        }
    };
    in_files(data, &mut look)?;
    in_logs(&data.join("logs"), &mut look)?;
    in_processes(&mut look)?;
    // Whatever is older than the data is not of it.
    let since = fs::metadata(data)?.created().unwrap_or(SystemTime::UNIX_EPOCH);
    let since = since.checked_sub(Duration::from_secs(2)).unwrap_or(since);
    in_temporary_files(data, since, &mut look);
    Ok(found)
}

/// Files of the data directory. The largest are build disks, which are left out.
fn in_files(data: &Path, look: &mut dyn FnMut(&str, &[u8])) -> io::Result<()> {
    let mut todo = vec![data.to_owned()];
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let (name, kind) = (entry.file_name(), entry.file_type()?);
            if kind.is_dir() && !OF_BUILDS.iter().any(|skip| name == *skip) {
                todo.push(entry.path());
            } else if kind.is_file() && name != "job.json" {
                look(&entry.path().display().to_string(), &fs::read(entry.path())?);
            }
        }
    }
    Ok(())
}

/// What the compressed segments of the logs hold: `logs/<group>/<stream>/`.
fn in_logs(logs: &Path, look: &mut dyn FnMut(&str, &[u8])) -> io::Result<()> {
    let directories = |of: &Path| -> io::Result<Vec<PathBuf>> {
        if !of.is_dir() {
            return Ok(Vec::new());
        }
        let entries = fs::read_dir(of)?.filter_map(Result::ok).map(|entry| entry.path());
        Ok(entries.filter(|path| path.is_dir()).collect())
    };
    for group in directories(logs)? {
        for stream in directories(&group)? {
            // What is no log, or damaged, others tell.
            let Ok(reader) = LogReader::open(&stream) else { continue };
            let mut journal = Vec::new();
            if reader.journal_from(0).read_to_end(&mut journal).is_ok() {
                look(&format!("the log in {}", stream.display()), &journal);
            }
        }
    }
    Ok(())
}

/// Environments and command lines of processes, but for this one.
fn in_processes(look: &mut dyn FnMut(&str, &[u8])) -> io::Result<()> {
    for (pid, path) in host::processes()? {
        for part in ["environ", "cmdline"] {
            // It may have ended meanwhile.
            let Ok(bytes) = fs::read(path.join(part)) else { continue };
            look(&format!("{part} of process {pid}"), &bytes);
        }
    }
    Ok(())
}

/// New files in temporary directories, and new core files.
fn in_temporary_files(data: &Path, since: SystemTime, look: &mut dyn FnMut(&str, &[u8])) {
    let mut roots = BTreeSet::from([PathBuf::from("/tmp"), "/var/tmp".into(), "/dev/shm".into(), std::env::temp_dir()]);
    roots.extend(core_directories());
    let cores: BTreeSet<PathBuf> = core_directories().into_iter().collect();
    for root in roots {
        let is_core_directory = cores.contains(&root);
        let mut todo = vec![(root, 0)];
        while let Some((directory, depth)) = todo.pop() {
            let Ok(entries) = fs::read_dir(&directory) else { continue };
            for entry in entries.filter_map(Result::ok) {
                let path = entry.path();
                let (Ok(metadata), false) = (entry.metadata(), path == data) else { continue };
                let is_core = is_core_directory && entry.file_name().to_string_lossy().starts_with("core");
                if metadata.is_dir() {
                    // Of the working directory and the like only what lies in it itself.
                    let is_temporary = !is_core_directory || depth > 0;
                    if is_temporary && depth < DEPTH && !OF_BUILDS.iter().any(|skip| entry.file_name() == *skip) {
                        todo.push((path, depth + 1));
                    }
                } else if metadata.is_file()
                    && (is_core || (!is_core_directory && metadata.len() <= LARGEST_OF_OTHERS))
                    && metadata.modified().is_ok_and(|at| at >= since)
                {
                    in_new_file(&path, look);
                }
            }
        }
    }
}

/// Where the kernel puts core files of what is started here.
fn core_directories() -> Vec<PathBuf> {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    let mut directories: Vec<PathBuf> = std::env::current_dir().into_iter().collect();
    let pattern = Path::new(pattern.trim());
    directories.extend(pattern.parent().filter(|_| pattern.is_absolute()).map(Path::to_owned));
    directories
}

/// Reads a file that others may be writing, removing, or have made so that it is never at its end.
fn in_new_file(path: &Path, look: &mut dyn FnMut(&str, &[u8])) {
    let Ok(file) = File::open(path) else { return };
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let mut bytes = Vec::new();
    if file.take(length).read_to_end(&mut bytes).is_ok() {
        look(&path.display().to_string(), &bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Nobody else's.
    fn secret() -> String {
        use std::hash::{BuildHasher as _, RandomState};
        format!("exposed-{:016x}", RandomState::new().hash_one(1))
    }

    fn places(data: &Path, secret: &str) -> Vec<String> {
        check(data, &[secret.to_owned()]).unwrap().into_iter().map(|violation| violation.what).collect()
    }

    #[test]
    fn secrets_are_found_wherever_they_are() {
        let (data, secret) = (tempfile::tempdir().unwrap(), secret());
        assert_eq!(places(data.path(), &secret), Vec::<String>::new());
        let write = |name: &str, bytes: &[u8]| fs::write(data.path().join(name), bytes).unwrap();
        write("plain", format!("before {secret} after").as_bytes());
        write("hex", hex::encode(&secret).as_bytes());
        write("base64", STANDARD_NO_PAD.encode(format!("xy{secret}z")).as_bytes());
        write("job.json", secret.as_bytes());
        fs::create_dir(data.path().join("disk")).unwrap();
        write("disk/of-the-build", secret.as_bytes());
        let mut found = places(data.path(), &secret);
        found.sort();
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].contains("base64") && found[1].contains("hex") && found[2].contains("plain"), "{found:?}");

        for name in ["plain", "hex", "base64"] {
            fs::remove_file(data.path().join(name)).unwrap();
        }
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("left"), &secret).unwrap();
        let found = places(data.path(), &secret);
        assert!(found.len() == 1 && found[0].contains("left"), "{found:?}");
        drop(elsewhere);

        let mut process = Command::new("sleep").arg("100").env("HIDDEN", &secret).spawn().unwrap();
        let found = places(data.path(), &secret);
        process.kill().unwrap();
        process.wait().unwrap();
        assert!(found.len() == 1 && found[0].starts_with("environ of process"), "{found:?}");
        assert_eq!(places(data.path(), &secret), Vec::<String>::new());
    }
}
