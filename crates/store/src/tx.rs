//! A transaction as the rooms above see it: statements in, rows out, on either engine.

use crate::bell::{Topic, Topics};
use crate::dialect::Engine;
use crate::error::{Result, StoreError};
use crate::link::Link;
use crate::value::{Row, Value};

/// One open transaction. Statements are portable SQL with `$1..$n`; each text is prepared once per connection.
pub struct Tx<'a> {
    link: &'a mut Link,
    topics: Topics,
    weight: usize,
    statements: u64,
    failed: Option<StoreError>,
    plans: Option<Vec<Plan>>,
}

/// How the engine goes about one statement: its own lines, step by step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub sql: String,
    pub steps: Vec<String>,
}

impl<'a> Tx<'a> {
    pub(crate) fn new(link: &'a mut Link) -> Self {
        Self {
            link,
            topics: Topics::default(),
            weight: 0,
            statements: 0,
            failed: None,
            plans: None,
        }
    }

    /// How the engine goes about each statement of `work`, which runs as well: whoever changes a search sees what it reads.
    pub fn plans<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<Vec<Plan>> {
        self.plans = Some(Vec::new());
        let done = work(self);
        let plans = self.plans.take().unwrap_or_default();
        done.map(|_| plans)
    }

    fn explain(&mut self, sql: &str, values: &[Value<'_>]) -> Result<()> {
        let Some(mut plans) = self.plans.take() else {
            return Ok(());
        };
        let (how, column) = self.engine().explain();
        let rows = self.query(&format!("{how} {sql}"), values)?;
        plans.push(Plan {
            sql: sql.to_owned(),
            steps: rows.iter().map(|row| row.text(column)).collect::<Result<_>>()?,
        });
        self.plans = Some(plans);
        Ok(())
    }

    /// Runs a statement whose answer does not matter. On PostgreSQL it is only sent; its error shows at the next
    /// query or at the commit, which then fails. Rows of one INSERT may be sent together at the end, or before a statement that names
    /// their table.
    pub fn run(&mut self, sql: &str, values: &[Value<'_>]) -> Result<()> {
        self.explain(sql, values)?;
        self.weigh(values);
        let done = self.link.run(sql, values);
        self.note(done)
    }

    /// Runs a statement and returns how many rows it changed.
    pub fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64> {
        self.explain(sql, values)?;
        self.weigh(values);
        let done = self.link.execute(sql, values);
        self.note(done)
    }

    /// Runs a statement that is nearly always about so many rows (changed, or found by a SELECT), and returns whether it was. In a
    /// batch on PostgreSQL nobody waits for its answer; where it turns out to be otherwise, the closure is run again by itself.
    pub fn expect(&mut self, rows: u64, sql: &str, values: &[Value<'_>]) -> Result<bool> {
        self.explain(sql, values)?;
        self.weigh(values);
        let done = self.link.expect(rows, sql, values);
        self.note(done)
    }

    pub fn query(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        self.each(sql, values, |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    /// The only row of the answer, or `None`; a second row is an error.
    pub fn query_opt(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Option<Row>> {
        let mut only = None;
        self.each(sql, values, |row| match only.replace(row) {
            None => Ok(()),
            Some(_) => Err(StoreError::other(brief(sql), "expected at most one row")),
        })?;
        Ok(only)
    }

    /// Hands each row of the answer to `take` as it comes, without holding them all.
    pub fn each(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        mut take: impl FnMut(Row) -> Result<()>,
    ) -> Result<()> {
        self.explain(sql, values)?;
        self.weigh(values);
        let done = self.link.each(sql, values, &mut |row| take(row?));
        self.note(done)
    }

    /// Every row, and an error in place of each that cannot be read.
    pub(crate) fn each_readable(
        &mut self,
        sql: &str,
        mut take: impl FnMut(Result<Row>) -> Result<()>,
    ) -> Result<()> {
        let done = self.link.each(sql, &[], &mut take);
        self.note(done)
    }

    /// Rings the bell of `topic` once this transaction is committed.
    pub fn ring(&mut self, topic: Topic) {
        self.topics.add(topic);
    }

    /// What a SELECT that claims rows ends with: ` FOR UPDATE SKIP LOCKED`, or nothing.
    pub fn skip_locked(&self) -> &'static str {
        self.engine().skip_locked()
    }

    pub fn engine(&self) -> Engine {
        self.link.engine()
    }

    pub(crate) fn script(&mut self, sql: &str) -> Result<()> {
        let done = self.link.script(sql);
        self.note(done)
    }

    pub(crate) fn topics(&self) -> Topics {
        self.topics
    }

    /// Bytes handed to statements so far.
    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    /// How many statements so far.
    pub(crate) fn statements(&self) -> u64 {
        self.statements
    }

    /// The first statement that failed, whether or not the caller made something of it: PostgreSQL refuses
    /// every statement after one that failed, so such a transaction is rolled back on both engines.
    pub(crate) fn take_failure(&mut self) -> Option<StoreError> {
        self.failed.take()
    }

    fn weigh(&mut self, values: &[Value<'_>]) {
        self.statements += 1;
        self.weight += values.iter().map(Value::weight).sum::<usize>();
    }

    fn note<T>(&mut self, done: Result<T>) -> Result<T> {
        if let Err(error) = &done {
            self.failed.get_or_insert_with(|| error.clone());
        }
        done
    }
}

/// The beginning of a statement, enough to know it by in an error.
pub(crate) fn brief(sql: &str) -> String {
    let mut words = sql.split_whitespace();
    let mut text = String::new();
    while text.len() < 48 {
        let Some(word) = words.next() else { return text };
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    text.push_str(" …");
    text
}
