//! stdin and stdout as async streams, without an extra thread where the system allows it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rmcp::transport::{StdioReader, StdioWriter, stdio_pipes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
#[cfg(unix)]
use tokio::net::UnixStream;

/// stdin as the client provides it.
pub(super) enum Stdin {
    /// A pipe, or anything else, read on its own thread.
    Pipe(StdioReader),
    #[cfg(unix)]
    Socket(UnixStream),
}

/// stdout as the client provides it.
pub(super) enum Stdout {
    Pipe(StdioWriter),
    #[cfg(unix)]
    Socket(UnixStream),
}

/// Opens stdin and stdout. Clients written for Node provide UNIX sockets, others pipes.
pub(super) fn open() -> (Stdin, Stdout) {
    #[cfg(unix)]
    if let (Ok(input), Ok(output)) = (socket(&io::stdin()), socket(&io::stdout())) {
        return (Stdin::Socket(input), Stdout::Socket(output));
    }
    let (input, output) = stdio_pipes();
    (Stdin::Pipe(input), Stdout::Pipe(output))
}

#[cfg(unix)]
fn socket(stream: &impl std::os::fd::AsFd) -> io::Result<UnixStream> {
    let stream = std::os::unix::net::UnixStream::from(stream.as_fd().try_clone_to_owned()?);
    // Fails on anything that is not a socket, before its mode is changed.
    stream.local_addr()?;
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

impl AsyncRead for Stdin {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Pipe(pipe) => Pin::new(pipe).poll_read(context, buffer),
            #[cfg(unix)]
            Self::Socket(socket) => Pin::new(socket).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stdout {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Pipe(pipe) => Pin::new(pipe).poll_write(context, bytes),
            #[cfg(unix)]
            Self::Socket(socket) => Pin::new(socket).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Pipe(pipe) => Pin::new(pipe).poll_flush(context),
            #[cfg(unix)]
            Self::Socket(socket) => Pin::new(socket).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Pipe(pipe) => Pin::new(pipe).poll_shutdown(context),
            #[cfg(unix)]
            Self::Socket(socket) => Pin::new(socket).poll_shutdown(context),
        }
    }
}
