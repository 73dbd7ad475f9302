package component

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/semver"
)

// choose returns the recipes that names mean: NAME is the newest version of an image, and
// NAME@VERSION that one. No names are all of them.
func choose(all []Recipe, names []string) ([]Recipe, error) {
	if len(names) == 0 {
		return all, nil
	}
	wanted := map[string]bool{}
	for _, n := range names {
		id, err := identify(all, n)
		if err != nil {
			return nil, err
		}
		wanted[id] = true
	}
	var chosen []Recipe
	for _, r := range all {
		if wanted[r.ID()] {
			chosen = append(chosen, r)
		}
	}
	return chosen, nil
}

func identify(all []Recipe, name string) (string, error) {
	image, version, exact := strings.Cut(name, "@")
	var newest string
	var images, versions []string
	for _, r := range all {
		images = append(images, r.Image)
		if r.Image != image {
			continue
		}
		versions = append(versions, r.Version)
		if newest == "" || semver.Compare(r.Version, newest) > 0 {
			newest = r.Version
		}
	}
	slices.Sort(images)
	switch {
	case newest == "":
		return "", fmt.Errorf("no image %q; there are %s", image, strings.Join(slices.Compact(images), ", "))
	case !exact:
		return image + "@" + newest, nil
	case !slices.Contains(versions, version):
		return "", fmt.Errorf("no version %q of image %s; there are %s", version, image, strings.Join(versions, ", "))
	}
	return name, nil
}

// task is one image on one platform.
type task struct {
	recipe   Recipe
	platform string
}

// plan is every task, the first platform's first.
func tasks(recipes []Recipe, platforms []string) []task {
	var all []task
	for _, p := range platforms {
		for _, r := range recipes {
			if r.Reference == "" {
				all = append(all, task{r, p})
			}
		}
	}
	return all
}

// lanes groups tasks, by index, that share most of their packages through Go's own cache, in
// their order.
func lanes(all []task) [][]int {
	var lanes [][]int
	at := map[string]int{}
	for i, t := range all {
		key := t.platform + " " + t.recipe.Source
		n, ok := at[key]
		if !ok {
			n = len(lanes)
			at[key] = n
			lanes = append(lanes, nil)
		}
		lanes[n] = append(lanes[n], i)
	}
	return lanes
}
