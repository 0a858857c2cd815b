//! `Remark`: something to tell the author of an expression, with its place in the text.

use crate::problem::Severity;

/// A spot in an expression: 1-based, columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    pub line: u32,
    pub column: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    pub severity: Severity,
    /// 1-based, within the expression's text; columns count characters.
    pub line: u32,
    pub column: u32,
    pub what: String,
    pub hint: Option<String>,
}

impl Remark {
    pub(super) fn error(at: Spot, what: impl Into<String>) -> Remark {
        Remark { severity: Severity::Error, line: at.line, column: at.column, what: what.into(), hint: None }
    }

    pub(super) fn warning(at: Spot, what: impl Into<String>) -> Remark {
        Remark { severity: Severity::Warning, ..Remark::error(at, what) }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Remark {
        self.hint = Some(hint.into());
        self
    }
}
