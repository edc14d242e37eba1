//! Pages: lists that a person reads, with a cursor.

use serde::Serialize;
use uuid::Uuid;

use crate::error::Invalid;

/// Which page to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    limit: u32,
    after: Option<Uuid>,
}

impl PageRequest {
    /// The most items of one page.
    pub const MAX: u32 = 500;

    /// The first `limit` items.
    ///
    /// # Errors
    /// [`Invalid`] unless `limit` is 1 to [`MAX`](Self::MAX).
    pub fn first(limit: u32) -> Result<Self, Invalid> {
        if (1..=Self::MAX).contains(&limit) {
            Ok(Self { limit, after: None })
        } else {
            Err(Invalid::new("limit", format!("must be 1 to {}", Self::MAX)))
        }
    }

    /// The page behind the item that a previous page's [`next`](Page::next) names.
    #[must_use]
    pub fn after(mut self, cursor: Option<Uuid>) -> Self {
        self.after = cursor;
        self
    }

    /// How many items at most.
    #[must_use]
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// Behind which item.
    #[must_use]
    pub const fn cursor(&self) -> Option<Uuid> {
        self.after
    }
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { limit: 100, after: None }
    }
}

/// Some items of a list, and where the next page begins.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Hand this to [`PageRequest::after`] for the next page; none: this was the last.
    pub next: Option<Uuid>,
}

impl<T> Page<T> {
    /// Makes a page of what a store read: up to one item more than asked for, which says that there is a next page.
    #[must_use]
    pub fn cut(mut items: Vec<T>, request: &PageRequest, id: impl Fn(&T) -> Uuid) -> Self {
        let limit = request.limit as usize;
        let more = items.len() > limit;
        items.truncate(limit);
        Self { next: if more { items.last().map(id) } else { None }, items }
    }

    /// The same page with every item turned into something else.
    pub fn map<U>(self, turn: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(turn).collect(), next: self.next }
    }
}
