package pipeline_test

import (
	"context"
	"fmt"
	"os"
	"strings"

	"slipway.build/slipway/ci/pipeline"
)

// A pipeline of one's own: a stage that makes something, and one that checks it.
func Example() {
	cache, err := os.MkdirTemp("", "example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(cache)
	greeting := pipeline.Stage{
		Name: "greeting", Title: "Write a greeting", Version: 1,
		Inputs:  []pipeline.Input{pipeline.Parameter("name", "world")},
		Outputs: []string{"text"},
		Run: func(_ context.Context, s *pipeline.Step) error {
			return os.WriteFile(s.Out("text"), []byte("hello, world\n"), 0o644)
		},
	}
	check := pipeline.Stage{
		Name: "check", Title: "Look at the greeting", Version: 1,
		Inputs: []pipeline.Input{pipeline.Output("greeting", "text")},
		Run: func(_ context.Context, s *pipeline.Step) error {
			text, err := os.ReadFile(s.In("greeting", "text"))
			if err != nil {
				return err
			}
			return s.Fact("words", len(strings.Fields(string(text))))
		},
	}
	graph, err := pipeline.NewGraph(greeting, check)
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		result, err := graph.Run(context.Background(), pipeline.Options{Cache: cache})
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, s := range result.Stages {
			fmt.Println(s.Name, s.State)
		}
		var words int
		if _, err := result.Stages[1].Fact("words", &words); err != nil {
			fmt.Println(err)
		}
		fmt.Println("words:", words)
	}
	// Output:
	// greeting done
	// check done
	// words: 2
	// greeting cached
	// check cached
	// words: 2
}
