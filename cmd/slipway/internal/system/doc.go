// Package system brings the whole of Slipway up on this machine and takes it down again. Every
// step finds out for itself what is there already, so both can be run at any time and after
// any kind of interruption.
package system
