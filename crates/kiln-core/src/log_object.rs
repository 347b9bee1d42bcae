//! The log of a build as an object (`logsConfig.s3Logs`, `buildspec.md` 4.6, `api.md` 2.5): gzip text.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
};

use flate2::{Compression, write::GzEncoder};
use kiln_model::{codebuild::LogsConfigStatusType, location::S3Location};
use kiln_store::metadata::ObjectRecord;
use kiln_wire::journal::Decoder;

use crate::{adopt, core::Inner, document::Document, places, runners::Runners};

/// Where the log of a build goes, if it is to be an object too: bucket and key.
pub(crate) fn location(document: &Document) -> Option<(String, String)> {
    let settings = document.build.logs.as_ref()?.s3_logs.as_ref()?;
    if settings.status != LogsConfigStatusType::Enabled {
        return None;
    }
    let S3Location { bucket, key } = S3Location::parse(settings.location.as_deref()?)?;
    let prefix: Vec<&str> = key.split('/').filter(|part| !part.is_empty()).collect();
    let name = format!("{}.gz", document.uuid());
    Some((bucket, prefix.into_iter().chain([name.as_str()]).collect::<Vec<_>>().join("/")))
}

/// Stores the log, which is complete. `Ok(None)`: there is nothing to record, it is in another S3 or not wanted.
pub(crate) fn store<R: Runners>(inner: &Inner<R>, document: &Document) -> Result<Option<ObjectRecord>, String> {
    let Some((bucket, key)) = location(document) else { return Ok(None) };
    let settings = document.build.logs.as_ref().and_then(|logs| logs.s3_logs.as_ref());
    let plain = settings.and_then(|s3| s3.encryption_disabled) == Some(true);
    let target = adopt::target(inner, document, &bucket, plain, BTreeMap::new()).map_err(|e| e.to_string())?;
    let file = compress(inner, document).map_err(|e| e.to_string())?;
    places::store(inner, &target, &key, &file).map_err(|e| e.to_string())
}

/// The log's text, in a file that goes away with its handle.
fn compress<R: Runners>(inner: &Inner<R>, document: &Document) -> io::Result<File> {
    let path = inner.config.staging().join(format!("{}-log.gz", document.uuid()));
    let file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    let mut gzip = GzEncoder::new(file, Compression::default());
    let log = inner.logs.reader(&document.log_group(), &document.log_stream()).map_err(io::Error::other)?;
    let (mut journal, mut decoder) = (log.journal_from(0), Decoder::new());
    let mut buffer = vec![0; 256 << 10];
    loop {
        let n = journal.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..n).filter(|bytes| !bytes.is_empty()) else { break };
        decoder.push(bytes);
        while let Some(record) = decoder.next_raw().map_err(io::Error::other)? {
            gzip.write_all(record.text)?;
        }
    }
    let mut file = gzip.finish()?;
    file.rewind()?;
    Ok(file)
}
