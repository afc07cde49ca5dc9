//! A server on a thread and an async runtime of its own.
//!
//! The embedded engine runs SQLite inside its request handlers and a meter holds replies on purpose. On a runtime of
//! their own neither delays the code that calls them, and both outlive the runtime of whoever started them.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use axum::Router;
use tokio::sync::oneshot;

/// How long a server asked to stop may finish the requests it has begun.
const GRACE: Duration = Duration::from_secs(2);

/// A running server. Dropping it stops it at once; [`Background::stop`] lets it finish what it has begun.
///
/// Either way everything the server owned (sockets, files) is closed afterwards.
#[derive(Debug)]
pub(crate) struct Background {
    finish: Option<oneshot::Sender<()>>,
    abandon: Option<oneshot::Sender<()>>,
    ended: Option<oneshot::Receiver<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// Runs `serve` on a new thread called `name` with `workers` worker threads until it returns or is stopped.
    ///
    /// `serve` gets the signal to finish what it has begun; a sender dropped without a signal means the same.
    ///
    /// # Errors
    ///
    /// What the operating system says when it has no thread to give.
    pub(crate) fn spawn<F, Fut>(name: &str, workers: usize, serve: F) -> io::Result<Self>
    where
        F: FnOnce(oneshot::Receiver<()>) -> Fut + Send + 'static,
        Fut: Future<Output = ()>,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers)
            .thread_name(name)
            .enable_all()
            .build()?;
        let (finish, finish_asked) = oneshot::channel();
        let (abandon, abandon_asked) = oneshot::channel::<()>();
        let (ended_tell, ended) = oneshot::channel();

        let thread = Builder::new().name(name.to_owned()).spawn(move || {
            runtime.block_on(async move {
                let (pass_on, passed_on) = oneshot::channel();
                let out_of_patience = async {
                    let _ = finish_asked.await;
                    let _ = pass_on.send(());
                    tokio::time::sleep(GRACE).await;
                };
                tokio::select! {
                    () = serve(passed_on) => {}
                    () = out_of_patience => {}
                    _ = abandon_asked => {}
                }
            });
            // Ends every task, and with the last one whatever file it had open.
            drop(runtime);
            let _ = ended_tell.send(());
        })?;

        Ok(Self { finish: Some(finish), abandon: Some(abandon), ended: Some(ended), thread: Some(thread) })
    }

    /// Serves a router on a free port of 127.0.0.1, from a thread called `name`; gives its address, without a slash at the
    /// end.
    ///
    /// # Errors
    ///
    /// What the operating system says when it has no port or no thread to give.
    pub(crate) fn serve(name: &str, router: Router) -> io::Result<(String, Self)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let url = format!("http://{}", listener.local_addr()?);
        listener.set_nonblocking(true)?;
        let server = Self::spawn(name, 1, move |finish| async move {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
            let finish = async {
                let _ = finish.await;
            };
            // The accept loop retries by itself and has no error to report.
            let _ = axum::serve(listener, router).with_graceful_shutdown(finish).await;
        })?;
        Ok((url, server))
    }

    /// Stops the server: no new requests, those begun may finish within [`GRACE`], then everything is closed.
    pub(crate) async fn stop(mut self) {
        drop(self.finish.take());
        if let Some(ended) = self.ended.take() {
            // An error means that the thread is already gone.
            let _ = ended.await;
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.abandon.take());
        if let Some(thread) = self.thread.take() {
            // Short: tasks end at their next await, and a panic in one was reported by the thread itself.
            let _ = thread.join();
        }
    }
}
