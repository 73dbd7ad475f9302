// Package ledger is Heat mode's durable memory: how far it is with each deployment, and what Heat
// still has to be told of it. Every step is written before it is taken, so that after a death at
// any instant it is known what was begun, what ended, and what was told. Beside it the package
// keeps the state directory of heat-config, by which the agents of old and this one know each
// other's work.
package ledger
