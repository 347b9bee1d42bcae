//! Images of the registry: unpacked into this machine's store, as `kiln image pull` would, but without a way over HTTP.

use std::{
    io::{self, Read},
    path::Path,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, UNIX_EPOCH},
};

use kiln_core::runners::{RegistryImage, RunnersError};
use kiln_engine::image::{Contents, Digest, Image, ImageError, ImageStore, Limits, Operation, Reference};

use super::is_full;

/// How often it is asked whether somebody still waits for the image.
const LOOK: Duration = Duration::from_millis(200);
/// What the thread of a program that unpacks an image would have.
const STACK: usize = 8 << 20;

/// Has an image ready for builds. `images`: the store.
pub(super) fn take(images: &Path, image: &dyn RegistryImage, now_ms: i64) -> Result<(), RunnersError> {
    let cancel = AtomicBool::new(false);
    let plain = |message: String| RunnersError { message, disk_full: false };
    thread::scope(|scope| {
        let (alive, over) = mpsc::channel::<()>();
        let cancel = &cancel;
        let work = move || {
            let _alive = alive;
            unpack(images, image, now_ms, cancel)
        };
        let worker = thread::Builder::new().name("kiln-image".to_owned()).stack_size(STACK).spawn_scoped(scope, work);
        let worker = worker.map_err(|e| plain(format!("a thread that unpacks the image cannot be started: {e}")))?;
        while over.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            cancel.store(image.is_given_up(), Ordering::Relaxed);
        }
        match worker.join() {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(RunnersError {
                message: error.to_string(),
                disk_full: matches!(&error, ImageError::Io { source, .. } if is_full(source.kind())),
            }),
            Err(_) => Err(plain("Kiln failed when it unpacked the image; its log says why".to_owned())),
        }
    })
}

fn unpack(images: &Path, image: &dyn RegistryImage, now_ms: i64, cancel: &AtomicBool) -> Result<Image, ImageError> {
    let operation = Operation {
        now: UNIX_EPOCH + Duration::from_millis(now_ms.unsigned_abs()),
        cancel,
        progress: &|_| {},
        limits: Limits::default(),
    };
    ImageStore::open(images)?.take(&Reference::parse(image.reference())?, &OfRegistry(image), &operation)
}

struct OfRegistry<'a>(&'a dyn RegistryImage);

impl Contents for OfRegistry<'_> {
    fn open(&self, digest: Option<&Digest>) -> io::Result<Box<dyn Read + Send>> {
        self.0.open(digest.map(Digest::to_string).as_deref())
    }
}
