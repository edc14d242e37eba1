//! Turns: one writer at a time in this process, the engine first.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use crate::writer::Class;

/// One holder at a time; who waits is served by class, then by arrival.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    is_held: bool,
    waiting: [VecDeque<oneshot::Sender<Turn>>; 3],
}

impl Gate {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn.
    pub(crate) async fn enter(gate: &Arc<Self>, class: Class) -> Turn {
        loop {
            let called = {
                let mut queue = gate.queue();
                if !queue.is_held {
                    queue.is_held = true;
                    return Turn { gate: Some(Arc::clone(gate)) };
                }
                let (call, called) = oneshot::channel();
                queue.waiting[class as usize].push_back(call);
                called
            };
            if let Ok(turn) = called.await {
                return turn;
            }
        }
    }

    /// Calls the next who still waits.
    fn pass_on(self: Arc<Self>) {
        let mut gate = self;
        loop {
            let next = {
                let mut queue = gate.queue();
                let next = queue.waiting.iter_mut().find_map(VecDeque::pop_front);
                if next.is_none() {
                    queue.is_held = false;
                }
                next
            };
            let Some(call) = next else { return };
            match call.send(Turn { gate: Some(gate) }) {
                Ok(()) => return,
                // Nobody waits there any more: take the turn back without passing it on twice.
                Err(mut turn) => match turn.gate.take() {
                    Some(back) => gate = back,
                    None => return,
                },
            }
        }
    }
}

/// The right to write now; passed on when dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    gate: Option<Arc<Gate>>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(gate) = self.gate.take() {
            gate.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn engine_writes_go_first_and_a_vanished_waiter_is_skipped() {
        let gate = Arc::new(Gate::default());
        let first = Gate::enter(&gate, Class::Background).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let wait = |class: Class, name: &'static str| {
            let (gate, order) = (Arc::clone(&gate), Arc::clone(&order));
            tokio::spawn(async move {
                let turn = Gate::enter(&gate, class).await;
                order.lock().unwrap_or_else(PoisonError::into_inner).push(name);
                drop(turn);
            })
        };
        let mut tasks = Vec::new();
        for (class, name) in
            [(Class::Background, "log"), (Class::Request, "a"), (Class::Engine, "gone"), (Class::Engine, "claim"), (Class::Request, "b")]
        {
            tasks.push(wait(class, name));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tasks.remove(2).abort();
        tokio::time::sleep(Duration::from_millis(5)).await;
        drop(first);
        for task in tasks {
            let _ = task.await;
        }
        assert_eq!(*order.lock().unwrap_or_else(PoisonError::into_inner), ["claim", "a", "b", "log"]);
        assert!(!gate.queue().is_held);
    }
}
