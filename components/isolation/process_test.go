package isolation

import (
	"os"
	"testing"
)

func TestThisProcessIsRead(t *testing.T) {
	p, err := Read(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if p.Parent != os.Getppid() || len(p.UIDs) != 4 || p.Root() != (os.Getuid() == 0) || len(p.Caps) != 5 || len(p.Mounts) == 0 || p.Namespaces["pid"] == "" {
		t.Errorf("%+v", p)
	}
}

func TestTheLastMountOnARootCounts(t *testing.T) {
	p := &Process{Mounts: []Mount{{"/", true}, {"/proc", true}, {"/", false}}}
	if !p.ReadOnlyRoot() {
		t.Error("the mount beneath counts")
	}
}

func TestAProcessThatIsGoneIsAnError(t *testing.T) {
	if _, err := Read(1 << 30); err == nil {
		t.Error("there is no such process")
	}
}
