//! Blobs of objects in parts that are being read. They are opened one after another, so a part may still be wanted when
//! its object is deleted or replaced: it is removed when its last reader is done. A crash meanwhile leaves it to the next
//! start's sweep.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kiln_store::Blobs;

/// What is read, and what of it is to be removed then.
#[derive(Debug, Default)]
pub(crate) struct Held(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    readers: HashMap<String, usize>,
    doomed: HashSet<String>,
}

/// A reader's hold on blobs.
#[derive(Debug)]
pub(super) struct Hold {
    held: Arc<Held>,
    store: Blobs,
    blobs: Vec<String>,
}

impl Held {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps blobs until the hold is dropped. What is not named by a record any more may be gone already.
    pub(super) fn hold(self: &Arc<Self>, store: &Blobs, blobs: Vec<String>) -> Hold {
        let mut state = self.state();
        for blob in &blobs {
            *state.readers.entry(blob.clone()).or_default() += 1;
        }
        Hold { held: Arc::clone(self), store: store.clone(), blobs }
    }

    /// Whether a blob is to stay for now; it is removed by its last reader then.
    pub(super) fn put_off(&self, blob: &str) -> bool {
        let mut state = self.state();
        let is_read = state.readers.contains_key(blob);
        if is_read {
            state.doomed.insert(blob.to_owned());
        }
        is_read
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut over = Vec::new();
        {
            let mut state = self.held.state();
            for blob in self.blobs.drain(..) {
                let left = state.readers.get_mut(&blob).map(|count| {
                    *count -= 1;
                    *count
                });
                if left == Some(0) {
                    state.readers.remove(&blob);
                    if state.doomed.remove(&blob) {
                        over.push(blob);
                    }
                }
            }
        }
        for blob in over {
            if let Err(e) = self.store.remove(&blob) {
                tracing::warn!(blob = %blob, error = %e, "a blob stays that nothing refers to");
            }
        }
    }
}
