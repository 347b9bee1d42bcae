//! As much of the shell's grammar as the checks need: words, operators, and which word is a command.
//!
//! A reader of scripts that must not be wrong about quotes, comments and here-documents, and need not understand
//! everything: what it cannot read it calls a word.

/// A word or operator of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: TokenKind,
    /// As written.
    pub(super) text: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// The name of a command, or a reserved word in its place.
    Command,
    /// An argument, a redirection's target, an assignment.
    Word,
    /// `;`, `&&`, `|`, `&`, `(`, a line break (`\n`), `<<<`, `>`, …
    Operator,
}

/// A script, read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Script<'a> {
    pub(super) tokens: Vec<Token<'a>>,
    /// A quote is open at the end.
    pub(super) open_quote: bool,
}

/// Reserved words after which a command follows.
const BEFORE_COMMAND: [&str; 10] = ["if", "then", "elif", "else", "while", "until", "do", "{", "!", "time"];
const OPERATORS: [&str; 19] =
    ["<<<", "<<-", "&>>", ";;", "&&", "||", "<<", ">>", "<&", ">&", "&>", "|&", "<(", ">(", ";", "&", "|", "(", ")"];

struct Reader<'a> {
    rest: &'a str,
    script: Script<'a>,
    /// The next word is a command's name.
    at_command: bool,
    /// End words of here-documents that begin on the next line; whether tabs in front of them are dropped.
    here_documents: Vec<(String, bool)>,
}

/// Reads a script.
pub(super) fn read(text: &str) -> Script<'_> {
    let mut reader = Reader { rest: text, script: Script::default(), at_command: true, here_documents: Vec::new() };
    while let Some(c) = reader.rest.chars().next() {
        match c {
            '\n' => reader.line_break(),
            c if c.is_whitespace() => reader.skip(c.len_utf8()),
            '#' => reader.skip(reader.rest.find('\n').unwrap_or(reader.rest.len())),
            '\\' if reader.rest.starts_with("\\\n") => reader.skip(2),
            ';' | '&' | '|' | '(' | ')' | '<' | '>' => reader.operator(),
            _ => reader.word(),
        }
    }
    reader.script
}

impl<'a> Reader<'a> {
    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn push(&mut self, kind: TokenKind, text: &'a str) {
        self.script.tokens.push(Token { kind, text });
    }

    fn line_break(&mut self) {
        self.push(TokenKind::Operator, "\n");
        self.skip(1);
        self.at_command = true;
        for (end, tabs) in std::mem::take(&mut self.here_documents) {
            loop {
                let line = self.rest.split('\n').next().unwrap_or_default();
                let found = (if tabs { line.trim_start_matches('\t') } else { line }) == end;
                let last = line.len() == self.rest.len();
                self.skip(line.len() + 1);
                if found || last {
                    break;
                }
            }
        }
    }

    fn operator(&mut self) {
        let operator = OPERATORS.into_iter().find(|op| self.rest.starts_with(op)).unwrap_or(match self.rest.get(..1) {
            Some("<") => "<",
            _ => ">",
        });
        self.push(TokenKind::Operator, operator);
        self.skip(operator.len());
        match operator {
            "<<" | "<<-" => self.here_document(operator == "<<-"),
            ";" | ";;" | "&&" | "||" | "|" | "|&" | "&" | "(" | ")" => self.at_command = true,
            // The target of a redirection is a word, and the command may come after it.
            _ => self.target(),
        }
    }

    fn blanks(&mut self) {
        let blanks = self.rest.len() - self.rest.trim_start_matches([' ', '\t']).len();
        self.skip(blanks);
    }

    fn target(&mut self) {
        self.blanks();
        if !self.rest.starts_with(['\n', ';', '&', '|', '(', ')', '<', '>']) && !self.rest.is_empty() {
            let at_command = self.at_command;
            self.at_command = false;
            self.word();
            self.at_command = at_command;
        }
    }

    fn here_document(&mut self, tabs: bool) {
        self.target();
        if let Some(Token { kind: TokenKind::Word, text }) = self.script.tokens.last() {
            let end = text.chars().filter(|c| !matches!(c, '\'' | '"' | '\\')).collect();
            self.here_documents.push((end, tabs));
        }
    }

    fn word(&mut self) {
        let length = self.word_length();
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        let kind = if self.at_command { TokenKind::Command } else { TokenKind::Word };
        if self.at_command {
            if is_assignment(text) {
                self.push(TokenKind::Word, text);
                return;
            }
            self.at_command = BEFORE_COMMAND.contains(&text);
        }
        self.push(kind, text);
    }

    /// Bytes of the word that begins here, with its quotes and substitutions.
    fn word_length(&mut self) -> usize {
        let text = self.rest;
        let mut at = 0;
        while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
            let rest = text.get(at..).unwrap_or_default();
            at += match c {
                '\\' => 1 + rest.chars().nth(1).map_or(0, char::len_utf8),
                '\'' => self.quoted(rest, '\''),
                '"' => self.double_quoted(rest),
                '`' => self.quoted(rest, '`'),
                '$' if rest.starts_with("$(") || rest.starts_with("${") => self.substitution(rest),
                c if c.is_whitespace() || matches!(c, ';' | '&' | '|' | '<' | '>' | ')') => break,
                // `f()` is a word and a pair of brackets; `a=(b c)` likewise.
                '(' => break,
                c => c.len_utf8(),
            };
        }
        at.max(text.chars().next().map_or(0, char::len_utf8)).min(text.len())
    }

    fn quoted(&mut self, rest: &str, quote: char) -> usize {
        match rest.get(1..).and_then(|inner| inner.find(quote)) {
            Some(end) => end + 2,
            None => {
                self.script.open_quote = true;
                rest.len()
            }
        }
    }

    fn double_quoted(&mut self, text: &str) -> usize {
        let mut at = 1;
        while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
            let rest = text.get(at..).unwrap_or_default();
            at += match c {
                '"' => return at + 1,
                '\\' => 1 + rest.chars().nth(1).map_or(0, char::len_utf8),
                '$' if rest.starts_with("$(") => self.substitution(rest),
                c => c.len_utf8(),
            };
        }
        self.script.open_quote = true;
        text.len()
    }

    /// `$(…)` or `${…}`, with what is nested in it; brackets are counted, quotes are skipped.
    fn substitution(&mut self, text: &str) -> usize {
        let mut open = Vec::new();
        let mut at = 1;
        while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
            let rest = text.get(at..).unwrap_or_default();
            at += match c {
                '(' => {
                    open.push(')');
                    1
                }
                '{' => {
                    open.push('}');
                    1
                }
                c if open.last() == Some(&c) => {
                    open.pop();
                    if open.is_empty() {
                        return at + 1;
                    }
                    1
                }
                '\\' => 1 + rest.chars().nth(1).map_or(0, char::len_utf8),
                '\'' if open.last() == Some(&')') => self.quoted(rest, '\''),
                '"' => match rest.get(1..).and_then(|inner| inner.find('"')) {
                    Some(end) => end + 2,
                    None => rest.len(),
                },
                c => c.len_utf8(),
            };
        }
        text.len()
    }
}

/// `NAME=…`, `NAME+=…`, `NAME[…]=…`.
pub(super) fn is_assignment(word: &str) -> bool {
    let Some((name, _)) = word.split_once('=') else { return false };
    let name = name.strip_suffix('+').unwrap_or(name);
    let name = name.split('[').next().unwrap_or_default();
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl<'a> Script<'a> {
    /// Names of commands, reserved words among them.
    pub(super) fn commands(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.tokens.iter().filter(|t| t.kind == TokenKind::Command).map(|t| t.text)
    }

    /// Names of the functions that the script defines: `f() …`, `function f …`.
    pub(super) fn functions(&self) -> Vec<&'a str> {
        let mut names = Vec::new();
        for window in self.tokens.windows(3) {
            if let [name, open, close] = window
                && name.kind == TokenKind::Command
                && open.text == "("
                && close.text == ")"
            {
                names.push(name.text);
            }
        }
        for window in self.tokens.windows(2) {
            if let [keyword, name] = window
                && keyword.kind == TokenKind::Command
                && keyword.text == "function"
                && name.kind == TokenKind::Word
            {
                names.push(name.text);
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(text: &str) -> String {
        let script = read(text);
        let tokens = script.tokens.iter().map(|token| match token.kind {
            TokenKind::Command => format!("<{}>", token.text),
            TokenKind::Word => token.text.to_owned(),
            TokenKind::Operator => token.text.replace('\n', "NL"),
        });
        tokens.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn words_operators_and_commands() {
        for (text, expected) in [
            ("echo a; b", "<echo> a ; <b>"),
            ("A=1 B=2 make -j", "A=1 B=2 <make> -j"),
            ("if [ -f x ]; then y; fi", "<if> <[> -f x ] ; <then> <y> ; <fi>"),
            ("a && b || c & d", "<a> && <b> || <c> & <d>"),
            ("echo 'a; b' \"c $(d \")\") e\" # f; g", "<echo> 'a; b' \"c $(d \")\") e\""),
            ("echo $(a; b) `c; d`", "<echo> $(a; b) `c; d`"),
            ("cat <<EOF\nif x; [[\nEOF\ny", "<cat> << EOF NL <y>"),
            ("cat <<-'E' > f\n\tx y\n\tE\nz", "<cat> <<- 'E' > f NL <z>"),
            ("f() { x; }; f", "<f> ( ) <{> <x> ; <}> ; <f>"),
            ("a=(b c)", "a= ( <b> c )"),
            (">f echo a", "> f <echo> a"),
            ("a 2>&1 | b", "<a> 2 >& 1 | <b>"),
            ("a \\\n b", "<a> b"),
            ("x <<< y", "<x> <<< y"),
            ("echo é\"ü\"; 漢", "<echo> é\"ü\" ; <漢>"),
            ("! a; { b; }", "<!> <a> ; <{> <b> ; <}>"),
            ("${a:-$(b)} c", "<${a:-$(b)}> c"),
        ] {
            assert_eq!(outline(text), expected, "{text:?}");
        }
        assert!(read("echo \"a").open_quote && read("echo 'a").open_quote);
        assert!(!read("echo \"it's\" # don't").open_quote);
        assert_eq!(read("f() { :; }\nfunction g { :; }").functions(), ["f", "g"]);
    }
}
