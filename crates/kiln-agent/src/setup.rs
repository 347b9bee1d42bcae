//! The container made ready for commands.

use std::{
    collections::{BTreeMap, HashSet},
    ffi::OsString,
    io,
    os::unix::{ffi::OsStringExt, fs::PermissionsExt},
    path::{Path, PathBuf},
};

use kiln_wire::agent::{AGENT_PATH, HELPER_DIR, STATE_DIR, Setup};

use crate::{
    helpers,
    state::{Place, State, read_bounded},
    sys::Credentials,
    users::Users,
};

/// Where an image says what runtimes it has (`buildspec.md` 13.2).
const RUNTIMES: &str = "/codebuild/image/config/runtimes.yml";
/// Largest file of runtimes that is read.
const MAX_RUNTIMES: usize = 256 << 10;
/// PATH of an image that sets none.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The image's runtimes file, when there is one of a sensible size.
pub(crate) fn runtimes() -> Option<String> {
    let bytes = read_bounded(Path::new(RUNTIMES), MAX_RUNTIMES).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// What commands are run with.
#[derive(Debug)]
pub(crate) struct Build {
    /// What the last command left.
    pub(crate) state: State,
    /// What the first command started from, and what was set since: for commands that carry nothing over.
    pub(crate) initial: State,
    /// Where shells are looked up: the PATH that the build started with.
    pub(crate) search_path: Vec<u8>,
    /// The source directory.
    pub(crate) source_dir: PathBuf,
    /// Users that were given rights on the source tree.
    pub(crate) granted: HashSet<u32>,
}

impl Build {
    /// The directories of the primary and secondary sources.
    pub(crate) fn source_directories(&self) -> Vec<PathBuf> {
        let others = self
            .initial
            .values_of(b"CODEBUILD_SRC_DIR_")
            .map(|value| PathBuf::from(OsString::from_vec(value.to_vec())));
        std::iter::once(self.source_dir.clone()).chain(others.filter(|path| path.is_absolute())).collect()
    }

    /// Values of the variables that are set.
    pub(crate) fn get(&self, names: Vec<String>) -> BTreeMap<String, String> {
        let value = |name: &String| self.state.get(name.as_bytes()).map(|v| String::from_utf8_lossy(v).into_owned());
        names.into_iter().filter_map(|name| value(&name).map(|value| (name, value))).collect()
    }

    /// Sets variables for all later commands.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub(crate) fn set(&mut self, variables: &BTreeMap<String, String>) -> Result<(), String> {
        for (name, value) in variables {
            self.state.set(name.as_bytes(), value.as_bytes());
            self.initial.set(name.as_bytes(), value.as_bytes());
        }
        self.write(&Place::current())
    }

    /// Copies the state to a named place.
    ///
    /// # Errors
    /// When it cannot be written there.
    pub(crate) fn save(&self, name: &str) -> Result<(), String> {
        self.write(&Place::saved(name).ok_or_else(|| format!("'{name}' is not a name for a saved state"))?)
    }

    /// Copies the state back from a named place.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub(crate) fn restore(&mut self, name: &str) -> Result<(), String> {
        let place = Place::saved(name).ok_or_else(|| format!("'{name}' is not a name for a saved state"))?;
        self.state.read(&place).map_err(|error| {
            format!("the state saved as '{name}' cannot be used: {}: {}", error.path.display(), error.problem)
        })?;
        self.write(&Place::current())
    }

    fn write(&self, place: &Place) -> Result<(), String> {
        let result = self.state.write(place, None);
        result.map_err(|error| format!("the state cannot be written to {}: {error}", place.environment.display()))
    }

    /// Who runs a command; `None`: root.
    ///
    /// # Errors
    /// A text for the log.
    pub(crate) fn credentials(&self, user: Option<&str>) -> Result<Option<Credentials>, String> {
        user.map(|user| Users::read().find(user)).transpose()
    }
}

/// Makes the directories and the first state.
///
/// # Errors
/// A text that says what could not be made.
pub(crate) fn set_up(request: Setup) -> Result<Build, String> {
    let source_dir = PathBuf::from(OsString::from_vec(request.source_dir.0));
    if !source_dir.is_absolute() {
        return Err(format!("the source directory {} is not an absolute path", source_dir.display()));
    }
    for directory in [&source_dir, Path::new(STATE_DIR), Path::new(HELPER_DIR)] {
        std::fs::create_dir_all(directory)
            .map_err(|error| format!("directory {} cannot be made in the container: {error}", directory.display()))?;
    }
    // Commands of other users must reach their script; only root puts files there.
    std::fs::set_permissions(STATE_DIR, std::fs::Permissions::from_mode(0o755))
        .map_err(|error| format!("{STATE_DIR} cannot be opened to all users: {error}"))?;
    for name in helpers::NAMES {
        let link = Path::new(HELPER_DIR).join(name);
        link_helper(&link).map_err(|error| format!("{} cannot be made: {error}", link.display()))?;
    }

    let mut initial = State::new(source_dir.clone());
    initial.set(b"CODEBUILD_LAST_EXIT", b"0");
    initial.set(b"PATH", DEFAULT_PATH.as_bytes());
    for (name, value) in &request.variables {
        initial.set(name.as_bytes(), value.as_bytes());
    }
    let search_path = initial.get(b"PATH").unwrap_or_default().to_vec();
    append_helpers(&mut initial);
    let mut state = initial.clone();
    let place = Place::current();
    if request.keep_state {
        state
            .read(&place)
            .map_err(|error| format!("the kept state in {} cannot be used: {}", error.path.display(), error.problem))?;
        for (name, value) in &request.variables {
            state.set(name.as_bytes(), value.as_bytes());
        }
        append_helpers(&mut state);
    }
    state.write(&place, None).map_err(|error| format!("the state cannot be written to {STATE_DIR}: {error}"))?;
    Ok(Build { state, initial, search_path, source_dir, granted: HashSet::from([0]) })
}

/// Appends the directory of the helper commands to PATH.
fn append_helpers(state: &mut State) {
    let mut path = state.get(b"PATH").unwrap_or_default().to_vec();
    let helpers = HELPER_DIR.as_bytes();
    if !path.split(|b| *b == b':').any(|directory| directory == helpers) {
        path.push(b':');
        path.extend_from_slice(helpers);
        state.set(b"PATH", &path);
    }
}

fn link_helper(link: &Path) -> io::Result<()> {
    match std::fs::read_link(link) {
        Ok(target) if target == Path::new(AGENT_PATH) => return Ok(()),
        Ok(_) => std::fs::remove_file(link)?,
        // What an image brings itself is kept.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(()),
        Err(_) => {}
    }
    std::os::unix::fs::symlink(AGENT_PATH, link)
}
