//! Where results go: text for people, or JSON for programs, on standard output; errors on standard
//! error. A reader that goes away in the middle is no failure.

use std::io;
use std::io::IsTerminal;
use std::io::Write;

use serde::Serialize;
use serde_json::json;

use crate::error::CliError;
use crate::error::Exit;

/// For whom the results are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    Person,
    Program,
}

/// The way out for results and errors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    reader: Reader,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        let reader = if json {
            Reader::Program
        } else {
            Reader::Person
        };
        Self { reader }
    }

    /// Whether a progress bar would be seen and welcome.
    pub(crate) fn wants_progress(&self) -> bool {
        self.reader == Reader::Person && io::stderr().is_terminal()
    }

    /// Prints a result: the words, or the document in one line.
    pub(crate) fn result(
        &self,
        document: &impl Serialize,
        words: impl FnOnce() -> String,
    ) -> Result<(), CliError> {
        match self.reader {
            Reader::Person => self.text(&words()),
            Reader::Program => {
                let line = serde_json::to_string(document)
                    .map_err(|error| CliError::failed(format!("cannot make JSON: {error}")))?;
                self.text(&line)
            }
        }
    }

    /// Prints words to people and nothing to programs.
    pub(crate) fn words(&self, words: &str) -> Result<(), CliError> {
        match self.reader {
            Reader::Person => self.text(words),
            Reader::Program => Ok(()),
        }
    }

    /// Says something beside the result, to people and programs alike, on standard error.
    pub(crate) fn warning(&self, words: &str) {
        match self.reader {
            Reader::Person => complain(&format!("warning: {words}")),
            Reader::Program => complain(&json!({ "warning": words }).to_string()),
        }
    }

    pub(crate) fn error(&self, message: &str, hint: Option<&str>, exit: Exit) {
        match (self.reader, hint) {
            (Reader::Person, None) => complain(&format!("pangaea: {message}")),
            (Reader::Person, Some(hint)) => {
                complain(&format!("pangaea: {message}\n  hint: {hint}"));
            }
            (Reader::Program, _) => {
                let error = json!({ "message": message, "hint": hint, "exit_code": exit.code() });
                complain(&json!({ "error": error }).to_string());
            }
        }
    }

    /// Prints text to people and programs alike.
    pub(crate) fn text(&self, text: &str) -> Result<(), CliError> {
        if text.is_empty() {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        let ending = if text.ends_with('\n') { "" } else { "\n" };
        write!(out, "{text}{ending}")
            .and_then(|()| out.flush())
            .map_err(|error| CliError::of_output(&error))
    }
}

/// There is nobody to tell if standard error does not take it.
fn complain(text: &str) {
    writeln!(io::stderr(), "{text}").ok();
}
