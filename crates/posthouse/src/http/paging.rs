//! Pages of lists: how many, and where the next one starts.

use serde::Serialize;
use store::Id;
use store::search::Found;
use utoipa::ToSchema;

use super::error::{ApiError, ApiResult};

const DEFAULT: u32 = 50;
const MOST: u32 = 200;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Give this as `after` to get the next page; null on the last one.
    #[schema(required = true)]
    pub next: Option<String>,
}

/// A page of a search. What no index knows is looked for in a part of the list at a time, so a page may hold fewer items than asked
/// for, even none, and still have a next one.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchPage<T> {
    pub items: Vec<T>,
    /// Give this as `after` to get the next page; null on the last one.
    #[schema(required = true)]
    pub next: Option<String>,
    /// Where only a part of the list was looked through for this page: the time up to which. The next page goes on from there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub searched_to: Option<String>,
}

/// The page size asked for, within its bounds.
pub fn limit(asked: Option<u32>) -> ApiResult<u32> {
    match asked.unwrap_or(DEFAULT) {
        limit @ 1..=MOST => Ok(limit),
        _ => Err(ApiError::invalid(
            "limit",
            format!("A page has 1 to {MOST} items."),
        )),
    }
}

impl<T> Page<T> {
    /// Makes a page of at most `limit` out of up to `limit + 1` rows: the one too many says that there is a next page.
    pub fn of(mut items: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> Self {
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = more.then(|| items.last().map(cursor)).flatten();
        Self { items, next }
    }

    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(change).collect(),
            next: self.next,
        }
    }
}

impl<T> SearchPage<T> {
    /// Makes a page of at most `limit` out of what was found where `limit + 1` rows were asked for.
    pub fn of(found: Found<T>, limit: u32, id: impl Fn(&T) -> Id) -> Self {
        let page = Page::of(found.items, limit, |item| id(item).to_string());
        Self {
            items: page.items,
            next: page.next.or(found.looked_to.map(|place| place.to_string())),
            searched_to: found.looked_to.map(|place| place.time().rfc3339()),
        }
    }

    pub fn map<U>(self, change: impl FnMut(T) -> U) -> SearchPage<U> {
        SearchPage {
            items: self.items.into_iter().map(change).collect(),
            next: self.next,
            searched_to: self.searched_to,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_too_many_becomes_the_cursor_of_the_row_before() {
        let page = Page::of(vec![3, 2, 1], 2, ToString::to_string);
        assert_eq!((page.items, page.next.as_deref()), (vec![3, 2], Some("2")));
        let page = Page::of(vec![3, 2], 2, ToString::to_string);
        assert_eq!((page.items, page.next), (vec![3, 2], None));
    }

    #[test]
    fn a_page_has_bounds() {
        assert_eq!(limit(None).unwrap(), 50);
        assert!(limit(Some(0)).is_err());
        assert!(limit(Some(201)).is_err());
    }
}
