//! An S3 server on a free port of this computer, for buckets that are folders: `s3-server FOLDER KEY_ID SECRET`. It writes
//! the port to stdout. Buckets are also in the host, as `BUCKET.localhost:PORT`.

use std::error::Error;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::host::MultiDomain;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(folder), Some(key), Some(secret)) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("usage: s3-server FOLDER KEY_ID SECRET".into());
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    let files = FileSystem::new(folder).map_err(|error| format!("{error:?}"))?;
    let mut server = S3ServiceBuilder::new(files);
    server.set_auth(SimpleAuth::from_single(key, secret));
    server.set_host(MultiDomain::new([format!("localhost:{port}")])?);
    let server = server.build();
    println!("{port}");
    loop {
        let (connection, _) = listener.accept().await?;
        let served =
            http1::Builder::new().serve_connection(TokioIo::new(connection), server.clone());
        tokio::spawn(served);
    }
}
