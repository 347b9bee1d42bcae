//! Glob patterns of buildspecs (`buildspec.md` 1.10).
//!
//! | in a pattern | matches |
//! | --- | --- |
//! | `*` | any run of characters but `/` |
//! | `**` | any run of characters, `/` too; as a whole component also no directory at all (`a/**/b` matches `a/b`) |
//! | `?` | one character but `/` |
//! | `[a-z]`, `[!a-z]`, `[^a-z]` | one character of the set, or not of it, never `/` |
//! | `{a,b}` | one of the alternatives, which may hold patterns and `/` |
//! | `\x` | `x` itself |
//!
//! Names that begin with a dot are matched like any other. A `[` or `{` without its end stands for itself. A
//! character is a UTF-8 character; a byte that is part of none counts as one.
//!
//! A pattern is compiled to a nondeterministic automaton and run with a set of states, so that matching takes time
//! proportional to the name's length times the pattern's, whatever the pattern. The set after a directory's name also
//! tells whether anything below it can match.

/// Longest pattern, in bytes.
pub const MAX_PATTERN: usize = 4096;
/// Deepest nesting of `{`; what is deeper stands for itself.
const MAX_NESTING: u32 = 16;

/// A compiled pattern.
#[derive(Debug, Clone)]
pub struct Pattern {
    nodes: Vec<Node>,
    /// Where the pattern starts from.
    pub anchor: Anchor,
    /// Leading components without anything special, taken out of the automaton: `a/b/*` has `["a", "b"]`. The last
    /// component is never among them.
    pub prefix: Vec<String>,
    /// The last component has nothing special: the pattern may name a directory.
    pub names_one: bool,
    /// It ends with `/`: only a directory is meant.
    pub only_directory: bool,
}

/// Where a pattern starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// `/…`
    Root,
    /// This many directories above the base (`../../…`).
    Base(usize),
}

/// Not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Longer than [`MAX_PATTERN`].
    #[error("pattern of {0} bytes; at most {MAX_PATTERN} are taken")]
    TooLong(usize),
    /// Nothing is left of it.
    #[error("empty pattern")]
    Empty,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    /// This character.
    Literal(u32),
    /// A character but `/`.
    Any,
    /// One of these ranges, or none of them; never `/`.
    Class { negated: bool, ranges: Vec<(u32, u32)> },
    /// Any run of characters but `/`, then the next node.
    Star,
    /// Any run of characters, then the next node.
    DoubleStar,
    /// All of these nodes.
    Split(Vec<usize>),
    /// The end of the name.
    Accept,
}

/// A set of states of a pattern: what has been matched so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct States(Box<[u64]>);

impl States {
    /// Nothing that follows can make a match.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    fn contains(&self, index: usize) -> bool {
        self.0.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// True when it was not in there before.
    fn insert(&mut self, index: usize) -> bool {
        let bit = 1u64 << (index % 64);
        match self.0.get_mut(index / 64) {
            Some(word) if *word & bit == 0 => {
                *word |= bit;
                true
            }
            _ => false,
        }
    }

    fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(index, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                (rest != 0).then(|| {
                    let bit = rest.trailing_zeros() as usize;
                    rest &= rest - 1;
                    index * 64 + bit
                })
            })
        })
    }
}

impl Pattern {
    /// Compiles a pattern. `.` components, doubled slashes and `x/..` are taken out.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn new(text: &str) -> Result<Self, PatternError> {
        if text.len() > MAX_PATTERN {
            return Err(PatternError::TooLong(text.len()));
        }
        let absolute = text.starts_with('/');
        let mut ups = 0;
        let mut components: Vec<&str> = Vec::new();
        for component in split_components(text) {
            match component {
                "" | "." => {}
                ".." => match components.last() {
                    Some(last) if !is_special(last) => {
                        components.pop();
                    }
                    Some(_) => components.push(component),
                    None if absolute => {}
                    None => ups += 1,
                },
                _ => components.push(component),
            }
        }
        let only_directory = text.ends_with('/') || text.ends_with("/.") || components.is_empty();
        if components.is_empty() && !absolute && ups == 0 && !text.starts_with('.') {
            return Err(PatternError::Empty);
        }
        let names_one = components.last().is_none_or(|last| !is_special(last));
        let literal = components.iter().take_while(|component| !is_special(component)).count();
        let split = literal.min(components.len().saturating_sub(1));
        let (prefix, rest) = components.split_at(split);
        let prefix = prefix.iter().map(|component| (*component).to_owned()).collect();
        let characters: Vec<char> = rest.join("/").chars().collect();
        let mut compiler = Compiler { nodes: Vec::with_capacity(characters.len() + 1) };
        compiler.sequence(&characters, true, 0);
        compiler.nodes.push(Node::Accept);
        let anchor = if absolute { Anchor::Root } else { Anchor::Base(ups) };
        Ok(Self { nodes: compiler.nodes, anchor, prefix, names_one, only_directory })
    }

    /// The states before the first character of what follows the [prefix](Self::prefix).
    #[must_use]
    pub fn start(&self) -> States {
        let mut states = self.none();
        self.add(&mut states, 0, &mut Vec::new());
        states
    }

    /// The states after more of a path.
    #[must_use]
    pub fn advance(&self, states: &States, bytes: &[u8]) -> States {
        let (mut states, mut after, mut pending) = (states.clone(), self.none(), Vec::new());
        let mut step = |character| {
            after.0.fill(0);
            self.step(&states, character, &mut after, &mut pending);
            std::mem::swap(&mut states, &mut after);
            !states.is_dead()
        };
        for chunk in bytes.utf8_chunks() {
            let valid = chunk.valid().chars().map(u32::from);
            if !valid.chain(chunk.invalid().iter().map(|byte| 0x11_0000 + u32::from(*byte))).all(&mut step) {
                break;
            }
        }
        states
    }

    /// What was read so far is a match.
    #[must_use]
    pub fn is_match(&self, states: &States) -> bool {
        states.contains(self.nodes.len() - 1)
    }

    /// Whether a whole path matches, [prefix](Self::prefix) included and read as relative.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        let mut rest = path;
        for component in &self.prefix {
            match rest.strip_prefix(component.as_bytes()).and_then(|rest| rest.strip_prefix(b"/")) {
                Some(after) => rest = after,
                None => return false,
            }
        }
        self.is_match(&self.advance(&self.start(), rest))
    }

    /// How many states there are: no name makes more work per character than this.
    #[must_use]
    pub fn size(&self) -> usize {
        self.nodes.len()
    }

    fn none(&self) -> States {
        States(vec![0; self.nodes.len().div_ceil(64)].into())
    }

    fn step(&self, states: &States, character: u32, after: &mut States, pending: &mut Vec<usize>) {
        const SLASH: u32 = '/' as u32;
        for index in states.iter() {
            let next = match self.nodes.get(index) {
                Some(Node::Literal(wanted)) if *wanted == character => index + 1,
                Some(Node::Any) if character != SLASH => index + 1,
                Some(Node::Class { negated, ranges })
                    if character != SLASH
                        && ranges.iter().any(|(first, last)| (*first..=*last).contains(&character)) != *negated =>
                {
                    index + 1
                }
                Some(Node::Star) if character != SLASH => index,
                Some(Node::DoubleStar) => index,
                _ => continue,
            };
            self.add(after, next, pending);
        }
    }

    /// Adds a state and what can be reached from it without a character. Each state is added once, so that this ends.
    fn add(&self, states: &mut States, index: usize, pending: &mut Vec<usize>) {
        pending.push(index);
        while let Some(index) = pending.pop() {
            #[cfg(test)]
            WORK.with(|work| work.set(work.get() + 1));
            if index >= self.nodes.len() || !states.insert(index) {
                continue;
            }
            match self.nodes.get(index) {
                Some(Node::Star | Node::DoubleStar) => pending.push(index + 1),
                Some(Node::Split(targets)) => pending.extend_from_slice(targets),
                _ => {}
            }
        }
    }
}

/// Components at the top level: a `/` within braces or a set separates nothing.
fn split_components(text: &str) -> Vec<&str> {
    let mut components = Vec::new();
    let (mut start, mut depth, mut escaped) = (0, 0u32, false);
    // Braces that are never closed stand for themselves, and do not hide a `/`.
    let balanced = text.matches('{').count() == text.matches('}').count();
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' if balanced => depth += 1,
            '}' if balanced => depth = depth.saturating_sub(1),
            '/' if depth == 0 => {
                components.push(text.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    components.push(text.get(start..).unwrap_or_default());
    components
}

/// True when a component does not stand for itself.
pub(crate) fn is_special(component: &str) -> bool {
    component.contains(['*', '?', '[', '{', '\\'])
}

struct Compiler {
    nodes: Vec<Node>,
}

impl Compiler {
    /// Appends the nodes of a sequence. `fresh`: it begins where a path component begins.
    fn sequence(&mut self, text: &[char], fresh: bool, nesting: u32) {
        let mut fresh = fresh;
        let mut at = 0;
        while let Some(&character) = text.get(at) {
            let before = fresh;
            fresh = character == '/';
            let rest = text.get(at + 1..).unwrap_or_default();
            at += 1;
            match character {
                '*' => {
                    let stars = 1 + rest.iter().take_while(|c| **c == '*').count();
                    at += stars - 1;
                    if stars == 1 {
                        self.nodes.push(Node::Star);
                    } else if before && text.get(at) == Some(&'/') {
                        // `**/`: any directories, or none.
                        let here = self.nodes.len();
                        self.nodes.push(Node::Split(vec![here + 1, here + 3]));
                        self.nodes.push(Node::DoubleStar);
                        self.nodes.push(Node::Literal(u32::from('/')));
                        at += 1;
                        fresh = true;
                    } else {
                        self.nodes.push(Node::DoubleStar);
                    }
                }
                '?' => self.nodes.push(Node::Any),
                '[' => match class(rest) {
                    Some((node, length)) => {
                        self.nodes.push(node);
                        at += length;
                    }
                    None => self.nodes.push(Node::Literal(u32::from('['))),
                },
                '{' if nesting < MAX_NESTING => match alternatives(rest) {
                    Some((list, length)) => {
                        self.group(&list, before, nesting + 1);
                        at += length;
                    }
                    None => self.nodes.push(Node::Literal(u32::from('{'))),
                },
                '\\' if !rest.is_empty() => {
                    self.nodes.push(Node::Literal(rest.first().copied().map_or(0, u32::from)));
                    at += 1;
                }
                literal => self.nodes.push(Node::Literal(u32::from(literal))),
            }
        }
    }

    fn group(&mut self, alternatives: &[&[char]], fresh: bool, nesting: u32) {
        let split = self.nodes.len();
        self.nodes.push(Node::Split(Vec::new()));
        let mut starts = Vec::with_capacity(alternatives.len());
        let mut ends = Vec::with_capacity(alternatives.len());
        for alternative in alternatives {
            starts.push(self.nodes.len());
            self.sequence(alternative, fresh, nesting);
            ends.push(self.nodes.len());
            self.nodes.push(Node::Split(Vec::new()));
        }
        let after = self.nodes.len();
        for end in ends {
            self.set_split(end, vec![after]);
        }
        self.set_split(split, starts);
    }

    fn set_split(&mut self, index: usize, targets: Vec<usize>) {
        if let Some(node) = self.nodes.get_mut(index) {
            *node = Node::Split(targets);
        }
    }
}

/// A set, from behind its `[`, and how many characters it takes; `None` when it is never closed.
fn class(text: &[char]) -> Option<(Node, usize)> {
    let negated = matches!(text.first(), Some('!' | '^'));
    let mut at = usize::from(negated);
    let first = at;
    let mut ranges = Vec::new();
    loop {
        let mut low = *text.get(at)?;
        at += 1;
        match low {
            ']' if at > first + 1 => return Some((Node::Class { negated, ranges }, at)),
            '\\' => {
                low = *text.get(at)?;
                at += 1;
            }
            '/' => return None,
            _ => {}
        }
        let mut high = low;
        if text.get(at) == Some(&'-') && text.get(at + 1).is_some_and(|c| *c != ']') {
            high = *text.get(at + 1)?;
            at += 2;
            if high == '\\' {
                high = *text.get(at)?;
                at += 1;
            }
            if high == '/' {
                return None;
            }
        }
        ranges.push((u32::from(low), u32::from(high)));
    }
}

/// The alternatives of a group, from behind its `{`, and how many characters it takes; `None` when it is never closed.
fn alternatives(text: &[char]) -> Option<(Vec<&[char]>, usize)> {
    let mut list = Vec::new();
    let (mut start, mut depth, mut at) = (0, 0u32, 0);
    loop {
        let character = *text.get(at)?;
        match character {
            '\\' => at += 1,
            '{' => depth += 1,
            '}' if depth == 0 => {
                list.push(text.get(start..at)?);
                return Some((list, at + 1));
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                list.push(text.get(start..at)?);
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
thread_local! {
    /// States looked at, for the test that bounds them.
    static WORK: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
fn work() -> usize {
    WORK.with(std::cell::Cell::get)
}

#[cfg(test)]
mod tests;
