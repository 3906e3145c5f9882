//! A queue that serves its accounts in turn, so that one account's thousands do not stand before another's single mail.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use mail::time::Time;
use store::Id;

use crate::model::{Job, JobRecipient, Message};

#[derive(Debug, Default)]
pub struct FairQueue {
    by_account: HashMap<Id, VecDeque<Job>>,
    /// Accounts that have something waiting, the next one to serve in front.
    turn: VecDeque<Id>,
    recipients: u64,
    bytes: u64,
}

impl FairQueue {
    pub fn push(&mut self, job: Job) {
        self.recipients += job.recipients.len() as u64;
        let account = job.message.account;
        let queue = self.by_account.entry(account).or_default();
        if queue.is_empty() {
            self.turn.push_back(account);
        }
        // Domains of one message whose lane was found one after the other go together all the same.
        match queue.back_mut() {
            Some(last) if last.message.id == job.message.id && Arc::ptr_eq(&last.held, &job.held) => {
                last.recipients.extend(job.recipients);
            }
            _ => {
                self.bytes += job.bytes();
                queue.push_back(job);
            }
        }
    }

    /// The next job, with at most `limit` of its recipients, one where each gets a copy of its own; the others stay first in line.
    pub fn pop(&mut self, limit: usize) -> Option<Job> {
        let account = self.turn.pop_front()?;
        let queue = self.by_account.get_mut(&account)?;
        let mut job = queue.pop_front()?;
        let limit = if job.message.wants.is_personal() { 1 } else { limit };
        if job.recipients.len() > limit {
            let rest = job.recipients.split_off(limit);
            queue.push_front(job.part(rest));
        } else {
            self.bytes -= job.bytes();
        }
        if queue.is_empty() {
            self.by_account.remove(&account);
        } else {
            self.turn.push_back(account);
        }
        self.recipients -= job.recipients.len() as u64;
        Some(job)
    }

    pub fn drain(&mut self) -> Vec<Job> {
        let queues = std::mem::take(&mut self.by_account);
        let jobs = std::mem::take(&mut self.turn)
            .into_iter()
            .filter_map(|account| queues.get(&account).cloned())
            .flatten()
            .collect();
        self.recipients = 0;
        self.bytes = 0;
        jobs
    }

    /// Takes out the recipients for which `leaves` holds, grouped in jobs.
    pub fn extract(&mut self, mut leaves: impl FnMut(&Message, &JobRecipient) -> bool) -> Vec<Job> {
        let mut touched = |job: &Job| job.recipients.iter().any(|one| leaves(&job.message, one));
        if !self.jobs().any(&mut touched) {
            return Vec::new();
        }
        let mut out = Vec::new();
        for mut job in self.drain() {
            let all = std::mem::take(&mut job.recipients);
            let (gone, kept): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| leaves(&job.message, one));
            if !gone.is_empty() {
                out.push(job.part(gone));
            }
            if !kept.is_empty() {
                self.push(job.part(kept));
            }
        }
        out
    }

    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.by_account.values().flatten()
    }

    /// Waiting recipients.
    pub fn recipients(&self) -> u64 {
        self.recipients
    }

    /// Octets of waiting bodies.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.turn.is_empty()
    }

    pub fn oldest(&self) -> Option<Time> {
        self.by_account
            .values()
            .filter_map(|queue| queue.front().map(|job| job.message.created_at))
            .min()
    }
}
