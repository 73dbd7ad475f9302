// Package iso9660 finds files in an ISO 9660 image: where their bytes begin and how many there
// are. It reads a volume descriptor and the directories on the way, never the image as a whole, and
// trusts nothing of what it reads: every number is checked against the image's size.
package iso9660
