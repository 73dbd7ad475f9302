package pull

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// selinuxAttribute is where a file has its SELinux context, with a zero at its end.
const selinuxAttribute = "security.selinux"

// labelAs gives a directory the SELinux context of a program of the node OS, and so the type of what may be executed to all
// that is made in it from then on: a new file has its directory's type. It does nothing where files have no contexts, where
// that program is not there, and where the policy forbids it: such a policy says itself what may be executed where.
func labelAs(dir, program string) error {
	want, err := selinuxContext(program)
	if err != nil || want == "" {
		return err
	}
	has, err := selinuxContext(dir)
	if err != nil || has == want {
		return err
	}
	switch err := unix.Lsetxattr(dir, selinuxAttribute, []byte(want), 0); {
	case err == nil, errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return nil
	default:
		return fmt.Errorf("give %s the SELinux context %q of %s: %w", dir, want, program, err)
	}
}

// selinuxContext is empty for a file that has none or is not there.
func selinuxContext(path string) (string, error) {
	value := make([]byte, 4096) // the kernel's bound for a context is a page
	n, err := unix.Lgetxattr(path, selinuxAttribute, value)
	switch {
	case err == nil:
		return string(value[:n]), nil
	case errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.ENOENT):
		return "", nil
	}
	return "", fmt.Errorf("read the SELinux context of %s: %w", path, err)
}
