// Command hang is an agent that never does anything.
package main

import "time"

func main() {
	for {
		time.Sleep(time.Hour)
	}
}
