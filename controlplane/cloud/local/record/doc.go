// Package record keeps what the local cloud knows about its objects: one JSON file per
// object under <directory>/<kind>/<id>.json. A file is replaced atomically and is durable
// when the call returns (file and directory are synced), so that a kill or a power loss
// leaves the old or the new object and never a mixture. Whoever has to read before writing,
// such as an allocation of addresses, does so in Store.Update, which excludes all other
// writers of the machine.
package record
