//! The web console, embedded as `build.rs` has packed it.

use kiln_api::ConsoleFile;

/// Its files; none when `console/dist` was not there at compile time.
pub(super) static FILES: &[ConsoleFile] = include!(concat!(env!("OUT_DIR"), "/console.rs"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_whole_or_not_there() {
        if FILES.is_empty() {
            println!("skipped: the console was not built (scripts/console)");
            return;
        }
        let has = |end: &str| FILES.iter().any(|file| file.path.ends_with(end));
        assert!(has("index.html") && has(".js") && has(".css"));
        assert!(FILES.iter().all(|file| file.gzip.starts_with(&[0x1f, 0x8b])));
        // What a browser loads at first, over a slow line too.
        let bytes: usize = FILES.iter().map(|file| file.gzip.len()).sum();
        assert!(bytes < 2_500_000, "{bytes} bytes");
    }
}
