/// Copies until there is no more, or the token fires.
#[supervised(grace = "5s")]
async fn copy<R>(token: &CancellationToken, from: &mut R) -> io::Result<u64>
where
    R: AsyncRead + Unpin,
{
    let mut copied = 0;
    while let Some(n) = token.run_until_cancelled(read(from)).await.transpose()? {
        copied += n;
    }
    Ok(copied)
}
