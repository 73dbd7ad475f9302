// Command nnp prints the user that it runs as. As a set-user-id program in an image of the
// tests it tells whether a container can gain privileges.
package main

import (
	"fmt"
	"os"
)

func main() { fmt.Printf("Effective uid: %d\n", os.Geteuid()) }
