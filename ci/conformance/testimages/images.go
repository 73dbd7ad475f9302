package testimages

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"slipway.build/slipway/imagebuild/debian"
)

// recipe is one image: layers, the lowest first, and how it starts.
type recipe struct {
	repository, tag string
	layers          []tree
	entrypoint, cmd []string
	user            string
}

// Programs are the files that images are made of beside Debian's.
type Programs struct {
	Agnhost, SampleAPIServer, NoNewPrivileges string // of the conformance tests' module
	Certificate, Key                          string // that agnhost serves TLS with
	Etcd, Pause                               string // of the component images
}

// The repositories behind the registry's address. Repositories is how the tests are told.
const e2eImages = "e2e-test-images/"

// Repositories is the file that KUBE_TEST_REPO_LIST names: it maps the registries that the
// tests pull from to one of ours.
func Repositories(registry string) []byte {
	return fmt.Appendf(nil, "promoterE2eRegistry: %[1]s/e2e-test-images\ngcRegistry: %[1]s\ngcEtcdRegistry: %[1]s\n", registry)
}

// recipes returns the images that conformance tests of Kubernetes 1.36 run: the names and tags
// are those of k8s.io/kubernetes/test/utils/image, the entry points those of test/images.
func recipes(ctx context.Context, d debs, sets map[string][]Package, p Programs) ([]recipe, error) {
	box, err := d.unpack(ctx, sets[busyboxSet])
	if err != nil {
		return nil, err
	}
	tools, err := toolLayer(ctx, d, sets[toolSet], box)
	if err != nil {
		return nil, err
	}
	small, err := busyboxLayer(ctx, box)
	if err != nil {
		return nil, err
	}
	server, err := d.unpack(ctx, sets[serverSet])
	if err != nil {
		return nil, err
	}
	server.merge(nginx())
	own, err := readPrograms(p)
	if err != nil {
		return nil, err
	}
	agnhost := tree{
		"agnhost": own["agnhost"], "agnhost-2": symlink("agnhost"), "uploads": directory(0o755),
		"localhost.crt": text(string(own["localhost.crt"].content)), "localhost.key": text(string(own["localhost.key"].content)),
	}
	pet := func(name string) tree {
		return tree{
			"data.json":   text("{\n  \"image\": \"" + name + ".jpg\"\n}\n"),
			name + ".jpg": text("a picture of a " + name + ", in words\n"),
		}
	}
	// The image volume's test reads these words in its image.
	kitten := pet("kitten").merge(tree{"etc/os-release": text("NAME=\"Slipway test image, in place of one with Alpine Linux\"\nID=slipway-test\n")})
	all := []recipe{
		{repository: e2eImages + "busybox", tag: "1.37.0-1", layers: []tree{small}, cmd: []string{"sh"}},
		{repository: e2eImages + "nonroot", tag: "1.5", layers: []tree{small}, cmd: []string{"sh"}, user: "1234"},
		{repository: e2eImages + "nonewprivs", tag: "1.4", layers: []tree{small, {"usr/local/bin/nnp": setuid(own["nnp"])}}, cmd: []string{"nnp"}},
		{repository: e2eImages + "glibc-dns-testing", tag: "2.0.0", layers: []tree{tools}, cmd: []string{"bash"}},
		{repository: e2eImages + "nautilus", tag: "1.8", layers: []tree{tools, agnhost, pet("nautilus")}, entrypoint: []string{"/agnhost"}, cmd: []string{"test-webserver"}},
		{repository: e2eImages + "kitten", tag: "1.8", layers: []tree{tools, agnhost, kitten}, entrypoint: []string{"/agnhost"}, cmd: []string{"test-webserver"}},
		{repository: e2eImages + "sample-apiserver", tag: "1.29.2", layers: []tree{{"sample-apiserver": own["sample-apiserver"], "tmp": directory(0o1777)}}, entrypoint: []string{"/sample-apiserver"}},
		{repository: "etcd", tag: "3.6.8-0", layers: []tree{{"usr/local/bin/etcd": own["etcd"], "tmp": directory(0o1777)}}, cmd: []string{"etcd"}},
		{repository: "pause", tag: "3.10.2", layers: []tree{{"pause": own["pause"]}}, entrypoint: []string{"/pause"}, user: "65535:65535"},
	}
	// Two versions of one program: tests move from one to the other and want to see a difference.
	for _, tag := range []string{"2.55", "2.63.0"} {
		all = append(all, recipe{repository: e2eImages + "agnhost", tag: tag, layers: []tree{tools, agnhost}, entrypoint: []string{"/agnhost"}, cmd: []string{"pause"}})
	}
	for _, tag := range []string{"1.15-4", "1.27-0"} {
		all = append(all, recipe{repository: e2eImages + "nginx", tag: tag, layers: []tree{tools, server}, entrypoint: []string{"/usr/sbin/nginx"}, cmd: []string{"-g", "daemon off;"}})
	}
	return all, nil
}

func setuid(n node) node {
	n.mode = 0o4755
	return n
}

// toolLayer is Debian's tools with busybox' applets where Debian's packages have none. Its shell
// is bash: busybox' own runs its applets, whatever PATH has, and its nc knows no UDP.
func toolLayer(ctx context.Context, d debs, packages []Package, box tree) (tree, error) {
	t, err := d.unpack(ctx, packages)
	if err != nil {
		return nil, err
	}
	program, ok := box["usr/bin/busybox"]
	if !ok {
		return nil, errors.New("the package of busybox has no usr/bin/busybox")
	}
	t["usr/bin/busybox"] = program
	t["usr/bin/nc"] = symlink("nc.openbsd")
	t["usr/bin/sh"] = symlink("bash")
	applets, err := busybox(ctx, program.content, func(name string) string {
		at := debian.Merge(name)
		for _, dir := range []string{"usr/bin", "usr/sbin"} {
			if _, there := t[path.Join(dir, path.Base(at))]; there {
				return ""
			}
		}
		return at
	})
	if err != nil {
		return nil, err
	}
	return t.merge(applets, base(), accounts()), nil
}

// busyboxShell chooses between two shells.
//
//go:embed files/sh
var busyboxShell []byte

func busyboxLayer(ctx context.Context, box tree) (tree, error) {
	program, ok := box["usr/bin/busybox"]
	if !ok {
		return nil, errors.New("the package of busybox has no usr/bin/busybox")
	}
	// All of them in /bin, as in upstream's image: tests call /bin/sysctl.
	applets, err := busybox(ctx, program.content, func(name string) string { return path.Join("bin", path.Base(name)) })
	if err != nil {
		return nil, err
	}
	shell, ok := box["usr/bin/bash-static"]
	if !ok {
		return nil, errors.New("the package of bash has no usr/bin/bash-static")
	}
	return applets.merge(tree{
		"bin/busybox": executable(program.content), "bin/bash": executable(shell.content), "bin/sh": executable(busyboxShell),
	}, accounts()), nil
}

// nginx is the configuration of the web server: one site on port 80, logs to the container's
// output, what it writes in /var/lib/nginx.
func nginx() tree {
	return tree{
		"etc/nginx/nginx.conf": text(`user nobody nogroup;
worker_processes 1;
pid /var/lib/nginx/pid;
error_log stderr;
events {}
http {
  access_log /dev/stdout;
  client_body_temp_path /var/lib/nginx/body;
  proxy_temp_path /var/lib/nginx/proxy;
  fastcgi_temp_path /var/lib/nginx/fastcgi;
  uwsgi_temp_path /var/lib/nginx/uwsgi;
  scgi_temp_path /var/lib/nginx/scgi;
  server {
    listen 80;
    root /usr/share/nginx/html;
  }
}
`),
		"usr/share/nginx/html/index.html": text("<!DOCTYPE html>\n<title>Welcome to nginx!</title>\n<h1>Welcome to nginx!</h1>\n"),
		"var/log/nginx":                   directory(0o755),
		"var/lib/nginx":                   directory(0o1777),
	}
}

// files are the programs by the name that they have in an image.
func (p Programs) files() map[string]string {
	return map[string]string{
		"agnhost": p.Agnhost, "sample-apiserver": p.SampleAPIServer, "nnp": p.NoNewPrivileges,
		"localhost.crt": p.Certificate, "localhost.key": p.Key, "etcd": p.Etcd, "pause": p.Pause,
	}
}

func readPrograms(p Programs) (map[string]node, error) {
	files := p.files()
	all := map[string]node{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		b, err := os.ReadFile(filepath.Clean(files[name]))
		if err != nil {
			return nil, fmt.Errorf("program %s of the tests' images: %w", name, err)
		}
		all[name] = executable(b)
	}
	return all, nil
}
