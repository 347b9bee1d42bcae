//! Commands that do not do what they seem to (`buildspec.md` 1.12 and 2.2, `buildspecs-in-the-wild.md` 2).

use std::collections::HashMap;

use crate::{
    diagnostic::{Code, Diagnostic, Severity},
    display::quote,
    keys,
    model::Version,
    source::Span,
    yaml::{Kind, NodeId, Style},
};

use super::{
    Linter,
    shell::{self, Script, Token, TokenKind},
};

/// One item of `commands` or `finally`, in the order in which items run.
struct Item<'a> {
    text: &'a str,
    style: Style,
    span: Span,
    script: Script<'a>,
}

/// Which shell runs the commands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shell {
    /// The image's `sh`.
    Sh,
    Bash,
    /// Not a POSIX shell: its commands are not looked at.
    Windows,
}

impl<'a> Linter<'a> {
    pub(super) fn commands(&mut self) {
        let items = self.command_items();
        let shell = self.shell_of(&items);
        for item in &items {
            self.cut_by_comment(item);
        }
        if shell == Shell::Windows {
            return;
        }
        if shell == Shell::Sh {
            self.bash_syntax(&items);
        }
        for item in &items {
            self.folded(item);
            self.background(item);
        }
        self.block_status(&items);
        self.options_not_kept(&items);
        if self.buildspec.version == Version::V0_1 {
            self.nothing_kept(&items);
        } else {
            self.functions_not_kept(&items);
        }
    }

    fn command_items(&self) -> Vec<Item<'a>> {
        let mut items = Vec::new();
        for phase in keys::PHASES {
            for list in ["commands", "finally"] {
                let Some((_, value)) = self.find(&["phases", phase, list]) else { continue };
                items.extend(self.items(value).into_iter().filter_map(|id| self.command_item(id)));
            }
        }
        items
    }

    fn command_item(&self, id: NodeId) -> Option<Item<'a>> {
        let Kind::Scalar { text, style } = &self.document.node(id).kind else { return None };
        Some(Item { text, style: *style, span: self.document.span(id), script: shell::read(text) })
    }

    fn shell_of(&self, items: &[Item<'_>]) -> Shell {
        match self.buildspec.env.shell.as_deref().map(str::to_ascii_lowercase).as_deref() {
            Some(name) if name.contains("powershell") || name.contains("pwsh") || name.contains("cmd") => {
                Shell::Windows
            }
            Some(name) if name.ends_with("bash") => Shell::Bash,
            Some(_) => Shell::Sh,
            // Windows images run PowerShell when nothing is said.
            None if items.iter().any(|item| looks_like_windows(item.text)) => Shell::Windows,
            None => Shell::Sh,
        }
    }

    /// The head of an item: a block's `|`, else its whole first line.
    fn head(&self, item: &Item<'_>) -> Span {
        let mut span = item.span;
        if span.start.line != span.end.line {
            let rest = self.source.as_str().get(span.start.offset..).unwrap_or_default();
            let line = rest.split(crate::source::is_break).next().unwrap_or_default();
            let length = line.trim_end().chars().count();
            span.end = span.start;
            span.end.offset += line.trim_end().len();
            span.end.column = span.end.column.saturating_add(u32::try_from(length).unwrap_or(0));
        }
        span
    }

    fn report(
        &mut self,
        severity: Severity,
        code: Code,
        span: Span,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.found.push(Diagnostic::new(severity, code, span, message).with_hint(hint));
    }

    /// `- echo "issue #12"`: to YAML the text ends in front of the `#`.
    fn cut_by_comment(&mut self, item: &Item<'_>) {
        if item.style != Style::Plain || !item.script.open_quote {
            return;
        }
        let rest = self.source.as_str().get(item.span.end.offset..).unwrap_or_default();
        let line = rest.split(crate::source::is_break).next().unwrap_or_default();
        if line.trim_start().starts_with('#') {
            self.report(
                Severity::Warning,
                Code::CutByComment,
                self.head(item),
                "the command ends in front of the #: to YAML the rest of the line is a comment",
                "quote the whole command: - 'echo \"issue #12\"'",
            );
        }
    }

    /// One remark for the file: on images whose `sh` is bash all of it works.
    fn bash_syntax(&mut self, items: &[Item<'_>]) {
        let mut uses = items.iter().filter_map(|item| Some((item, bash_only(&item.script)?)));
        let Some((first, what)) = uses.next() else { return };
        let others = uses.count();
        let more = match others {
            0 => String::new(),
            1 => " (and another command)".to_owned(),
            n => format!(" (and {n} other commands)"),
        };
        let message = format!("{what} needs bash{more}, but the shell is the image's sh");
        self.report(
            Severity::Hint,
            Code::BashSyntax,
            self.head(first),
            message,
            "write `shell: bash` under `env`; sh is bash on Amazon Linux but not on Ubuntu images",
        );
    }

    /// Lines that are joined by blanks, where the shell needs them apart.
    fn folded(&mut self, item: &Item<'_>) {
        let written = self.source.slice(item.span);
        let joined = match item.style {
            Style::Folded => true,
            Style::Plain | Style::SingleQuoted | Style::DoubleQuoted => item.span.start.line != item.span.end.line,
            Style::Literal => false,
        };
        if !joined {
            return;
        }
        let keyword = swallowed_keyword(&item.script);
        let backslash = written.lines().any(|line| line.ends_with('\\')) && item.text.contains("\\ ");
        let message = match (keyword, backslash) {
            (Some(word), _) => format!("the lines of this command are joined by blanks, so that `{word}` is an argument"),
            (None, true) => {
                "the lines of this command are joined by blanks: a backslash at the end of one makes the blank a part of the \
                 next word"
                    .to_owned()
            }
            (None, false) => return,
        };
        let hint = "begin the command with - | to keep its lines";
        self.report(Severity::Warning, Code::FoldedBlock, self.head(item), message, hint);
    }

    fn background(&mut self, item: &Item<'_>) {
        // Waited for, or let go of.
        if item.script.commands().any(|command| matches!(command, "wait" | "disown")) {
            return;
        }
        for (index, token) in item.script.tokens.iter().enumerate() {
            if token.kind != TokenKind::Operator || token.text != "&" {
                continue;
            }
            let before = item.script.tokens.get(..index).unwrap_or_default();
            let from = before.iter().rposition(separates).map_or(0, |at| at + 1);
            let job = before.get(from..).unwrap_or_default();
            let redirected = job.iter().any(|t| t.kind == TokenKind::Operator && t.text.contains('>'));
            let detached = job.iter().any(|t| ["nohup", "setsid", "daemonize"].contains(&t.text));
            if job.is_empty() || redirected || detached {
                continue;
            }
            self.report(
                Severity::Hint,
                Code::BackgroundProcess,
                self.head(item),
                "the background process keeps the output of this command open and may be killed with it",
                "detach it: nohup COMMAND > log.txt 2>&1 &",
            );
            return;
        }
    }

    /// One remark for the file.
    fn block_status(&mut self, items: &[Item<'_>]) {
        let mut blocks = items.iter().filter_map(|item| Some((item, ignored_failure(item)?)));
        let Some((first, command)) = blocks.next() else { return };
        let others = blocks.count();
        let more = match others {
            0 => String::new(),
            1 => " (likewise in another block)".to_owned(),
            n => format!(" (likewise in {n} other blocks)"),
        };
        let command = quote(command);
        self.report(
            Severity::Hint,
            Code::BlockStatus,
            self.head(first),
            format!("if `{command}` fails, the block goes on: only its last line decides{more}"),
            "begin the block with `set -e`, or make its lines items of their own",
        );
    }

    /// An item that is only `set …` acts on nothing.
    fn options_not_kept(&mut self, items: &[Item<'_>]) {
        for (index, item) in items.iter().enumerate() {
            let mut words = item.script.tokens.iter().filter(|t| t.text != "\n").map(|t| t.text);
            let only_set = matches!(words.next(), Some("set" | "shopt" | "alias" | "umask" | "trap"))
                && item.script.tokens.iter().all(|t| t.kind != TokenKind::Operator || t.text == "\n")
                && item.script.commands().count() == 1
                && item.script.tokens.len() > 1;
            if only_set && index + 1 < items.len() {
                let hint = if item.text.starts_with("set") {
                    "a phase ends at its first failing command anyway; inside of a block, write it as the block's first line"
                } else {
                    "write it in the command that needs it"
                };
                self.report(
                    Severity::Hint,
                    Code::StateNotKept,
                    self.head(item),
                    "this has no effect: shell options, aliases and traps end with their command",
                    hint,
                );
                return;
            }
        }
    }

    fn functions_not_kept(&mut self, items: &[Item<'_>]) {
        let mut defined: HashMap<&str, usize> = HashMap::new();
        let mut lost = Vec::new();
        for (index, item) in items.iter().enumerate() {
            for name in item.script.functions() {
                defined.insert(name, index);
            }
            for name in item.script.commands() {
                if let Some(definition) = defined.get(name)
                    && *definition < index
                {
                    lost.push((name, *definition, index));
                    defined.remove(name);
                }
            }
        }
        for (name, definition, index) in lost {
            let (Some(definition), Some(used)) = (items.get(definition), items.get(index)) else { continue };
            let message = format!(
                "the function `{}` (line {}) is gone here: functions end with the command that defines them",
                quote(name),
                definition.span.start.line
            );
            self.report(
                Severity::Warning,
                Code::StateNotKept,
                self.head(used),
                message,
                "put definition and use into one block, or the function into a script that both commands read",
            );
        }
    }

    /// Version 0.1: one remark for the file, at the first command that sets something for the next.
    fn nothing_kept(&mut self, items: &[Item<'_>]) {
        let lost = items.iter().find(|item| {
            let mut commands = item.script.commands();
            match (commands.next(), commands.next()) {
                (Some("cd" | "export"), None) => true,
                (None, _) => item.script.tokens.iter().any(|t| shell::is_assignment(t.text)),
                _ => false,
            }
        });
        let Some(item) = lost else { return };
        self.report(
            Severity::Warning,
            Code::Version01,
            self.head(item),
            "in version 0.1 the next command does not see this: each runs in a fresh shell",
            "write version: 0.2",
        );
    }
}

fn separates(token: &Token<'_>) -> bool {
    token.kind == TokenKind::Operator && matches!(token.text, ";" | "&" | "\n" | "&&" | "||" | "(" | ")" | ";;")
}

fn looks_like_windows(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    [
        "$env:",
        "write-host",
        "write-output",
        "get-childitem",
        "new-item",
        "remove-item",
        "invoke-",
        "set-executionpolicy",
        ".ps1",
    ]
    .iter()
    .any(|word| lower.contains(word))
        || ["choco ", "powershell ", "powershell.exe ", "cmd /c"].iter().any(|word| lower.starts_with(word))
}

/// What in a script only bash understands.
fn bash_only(script: &Script<'_>) -> Option<&'static str> {
    for (index, token) in script.tokens.iter().enumerate() {
        let text = token.text;
        let next = script.tokens.get(index + 1).map(|t| t.text);
        let found = match (token.kind, text) {
            (TokenKind::Command, "[[") => Some("[["),
            (TokenKind::Command, "source") => Some("`source` (sh: `.`)"),
            (TokenKind::Command, "function") => Some("`function`"),
            (TokenKind::Command, "pushd" | "popd") => Some("`pushd`"),
            (TokenKind::Command, "shopt") => Some("`shopt`"),
            (TokenKind::Command, "declare" | "typeset") => Some("`declare`"),
            (TokenKind::Command, "mapfile" | "readarray") => Some("`mapfile`"),
            (TokenKind::Operator, "<<<") => Some("`<<<`"),
            (TokenKind::Operator, "&>" | "&>>" | "|&") => Some("`&>`"),
            (TokenKind::Operator, "<(") => Some("`<(…)`"),
            (TokenKind::Operator, "(") if next == Some("(") => Some("`((…))`"),
            (TokenKind::Word, "pipefail") => Some("`pipefail`"),
            (TokenKind::Word, word) if word.ends_with('=') && next == Some("(") && shell::is_assignment(word) => {
                Some("an array")
            }
            _ => bash_expansion(text),
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// `${x//a/b}`, `${x:0:3}`, `${x^^}`, `${!x}`, `${x[0]}`, outside of single quotes.
fn bash_expansion(word: &str) -> Option<&'static str> {
    if word.starts_with('\'') {
        return None;
    }
    for (at, _) in word.match_indices("${") {
        let inner = word.get(at + 2..).unwrap_or_default();
        if inner.starts_with('!') {
            return Some("`${!…}`");
        }
        let name = inner.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(inner.len());
        let mut after = inner.get(name..).unwrap_or_default().chars();
        match (after.next(), after.next()) {
            (Some('/'), _) if name > 0 => return Some("`${…/…}`"),
            (Some('^' | ','), _) if name > 0 => return Some("`${…^^}`"),
            (Some('['), _) if name > 0 => return Some("an array"),
            (Some(':'), Some(c)) if name > 0 && (c.is_ascii_digit() || c == ' ') => return Some("`${…:0:…}`"),
            _ => {}
        }
    }
    None
}

/// A reserved word that stands where only an argument can, while its construct is open.
fn swallowed_keyword(script: &Script<'_>) -> Option<&'static str> {
    let opened: Vec<&str> =
        script.commands().filter(|c| matches!(*c, "if" | "for" | "while" | "until" | "case")).collect();
    if opened.is_empty() {
        return None;
    }
    let words = |wanted: &str| script.tokens.iter().any(|t| t.kind == TokenKind::Word && t.text == wanted);
    let closes = |wanted: &str| script.commands().any(|command| command == wanted);
    let conditional = opened.contains(&"if");
    let looping = opened.iter().any(|word| matches!(*word, "for" | "while" | "until"));
    if conditional && words("then") && !closes("then") {
        Some("then")
    } else if conditional && words("fi") && !closes("fi") {
        Some("fi")
    } else if looping && words("do") && !closes("do") {
        Some("do")
    } else if looping && words("done") && !closes("done") {
        Some("done")
    } else {
        None
    }
}

/// Commands whose failure nobody expects, or that cannot fail.
const HARMLESS: [&str; 27] = [
    "echo", "printf", "export", "set", "cd", "true", "false", ":", "exit", "sleep", "unset", "ls", "pwd", "cat", "env",
    "printenv", "local", "readonly", "shopt", "trap", "date", "which", "whoami", "[", "test", "return", "mkdir",
];

/// In a block of several lines without `set -e`: the first command on a line before the last whose failure goes unseen.
fn ignored_failure<'s>(item: &'s Item<'_>) -> Option<&'s str> {
    if item.style != Style::Literal || sets_errexit(&item.script) {
        return None;
    }
    // Statements at the outermost level: those inside of if, loops, functions and brackets may be meant to fail.
    let mut depth = 0usize;
    let mut statements: Vec<Vec<&Token<'_>>> = vec![Vec::new()];
    for token in &item.script.tokens {
        let command = token.kind == TokenKind::Command;
        match token.text {
            "if" | "case" | "do" | "{" if command => depth += 1,
            "(" if !command => depth += 1,
            "fi" | "esac" | "done" | "}" if command => depth = depth.saturating_sub(1),
            ")" if !command => depth = depth.saturating_sub(1),
            "\n" | ";" if depth == 0 => {
                // A list goes on after its operator.
                let unfinished = statements.last().and_then(|statement| statement.last());
                if !unfinished.is_some_and(|t| matches!(t.text, "&&" | "||" | "|")) {
                    statements.push(Vec::new());
                }
                continue;
            }
            _ => {}
        }
        if let Some(statement) = statements.last_mut() {
            statement.push(token);
        }
    }
    // The status of some command is looked at.
    if item.text.contains("$?") {
        return None;
    }
    statements.retain(|statement| !statement.is_empty());
    let (_, before) = statements.split_last()?;
    before.iter().find_map(|statement| {
        let first = statement.iter().find(|t| t.kind == TokenKind::Command)?.text;
        let handled = statement.iter().any(|t| matches!(t.text, "||" | "&" | "exit"));
        let compound =
            matches!(first, "if" | "case" | "for" | "while" | "until" | "{" | "!" | "function" | "do" | "then")
                || statement.iter().any(|t| t.kind == TokenKind::Operator && t.text == "(");
        (!handled && !compound && !HARMLESS.contains(&first)).then_some(first)
    })
}

fn sets_errexit(script: &Script<'_>) -> bool {
    script.tokens.windows(2).any(|window| {
        let [set, option] = window else { return false };
        set.kind == TokenKind::Command
            && set.text == "set"
            && option.text.starts_with('-')
            && (option.text.contains('e') || option.text == "-o")
    }) || script.tokens.iter().any(|t| t.text.starts_with("#!"))
}
