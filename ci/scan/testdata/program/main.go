// Command program calls one function that a test's database calls vulnerable, and not another one
// of the same package.
package main

import (
	"fmt"

	"golang.org/x/term"
)

func main() { fmt.Println(term.IsTerminal(0)) }
