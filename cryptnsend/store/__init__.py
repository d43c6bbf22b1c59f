"""Where things rest: rows, blobs, the vault.

What holds here, whatever happens, and is tested by ending processes between the steps, failing disks and cut power:

- A blob is durable before the row that names it (`vault`, `files`).
- Rows are durable before any reply or outbound effect: a write's future resolves after COMMIT (`group`, `batch`).
- A blob without a row is litter, which upkeep sweeps. A row without a blob does not happen.
- What was acknowledged is exactly what is kept: a transaction that is lost fails every item of its batch.
- A claim is a lease with a fencing number, and an attempt is counted before it is made (`records/deliveries`), so that
  a delivery may be attempted twice, never zero times, and one that kills its workers is parked.
- A failed flush is fatal for that message (451) and never retried into a yes.
- Of blobs that share a file, deleting one takes its name away; the octets, which nothing opens once its keys are
  gone, stay until the last of them is deleted (`bundles`).

`sqlite` and `files` are the embedded `Engine` and `Blobs`; others pass the same suites in tests/contracts. Statements
live in `records`, each once.
"""
