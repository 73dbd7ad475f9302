//go:build heat

package heat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Where the services listen, on the container's loopback.
const (
	keystoneURL = "http://127.0.0.1:5000/v3"
	heatURL     = "http://127.0.0.1:8004/v1"
	cfnURL      = "http://127.0.0.1:8000/v1"
)

// patience bounds every wait; machines may be slow.
const patience = 10 * time.Minute

// logs is where the services and the agents write.
const logs = "/run/heat-test"

// service is one process of the cloud.
type service struct {
	name    string
	command []string

	mu  sync.Mutex
	cmd *exec.Cmd
}

// engine is Heat; tests stop and start it.
var (
	database = &service{name: "mariadb", command: []string{"mariadbd", "--user=mysql"}}
	keystone = &service{name: "keystone", command: []string{
		"uwsgi_python3", "--http-socket", "127.0.0.1:5000", "--wsgi-file", "/usr/bin/keystone-wsgi-public", "--master", "--lazy-apps",
		"--enable-threads", "--processes", "2", "--threads", "4", "--die-on-term", "--buffer-size", "65535", "--add-header", "Connection: close",
	}}
	engine = &service{name: "heat", command: []string{"heat-all"}}
)

func (s *service) start() error {
	file, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cmd = exec.Command(s.command[0], s.command[1:]...)
	s.cmd.Stdout, s.cmd.Stderr = file, file
	s.cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	return s.cmd.Start()
}

func (s *service) log() string { return filepath.Join(logs, s.name+".log") }

// end ends the service and what it has started.
func (s *service) end(signal unix.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return
	}
	_ = unix.Kill(-s.cmd.Process.Pid, signal)
	_ = s.cmd.Wait()
	s.cmd = nil
}

// startCloud starts everything and makes the accounts. stop is never nil.
func startCloud(ctx context.Context) (stop func(), err error) {
	all := []*service{database, keystone, engine}
	stop = func() {
		for i := len(all) - 1; i >= 0; i-- {
			all[i].end(unix.SIGKILL) // nothing of it is kept
		}
	}
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return stop, err
	}
	if err := os.MkdirAll("/run/mysqld", 0o755); err != nil {
		return stop, err
	}
	if out, err := exec.Command("chown", "mysql:", "/run/mysqld").CombinedOutput(); err != nil {
		return stop, fmt.Errorf("chown: %w: %s", err, out)
	}
	for _, name := range []string{"keystone", "heat"} { // the tree's are those of the day on which it was made
		raw, err := testdata.ReadFile("testdata/" + name + ".conf")
		if err != nil {
			return stop, err
		}
		if err := os.WriteFile("/etc/"+name+"/"+name+".conf", raw, 0o644); err != nil {
			return stop, err
		}
	}
	say("starting MariaDB and Keystone")
	if err := errors.Join(database.start(), keystone.start()); err != nil {
		return stop, err
	}
	if err := answers(ctx, keystoneURL, keystone); err != nil {
		return stop, err
	}
	say("making the accounts")
	if err := makeAccounts(ctx); err != nil {
		return stop, fmt.Errorf("make the accounts: %w\n%s", err, tailOf(keystone.log()))
	}
	unvouch, err := vouch(ctx)
	if err != nil {
		return stop, err
	}
	services := stop
	stop = func() { services(); unvouch() }
	say("starting Heat")
	if err := engine.start(); err != nil {
		return stop, err
	}
	return stop, errors.Join(answers(ctx, heatURL[:len(heatURL)-len("/v1")], engine), answers(ctx, cfnURL[:len(cfnURL)-len("/v1")], engine))
}

// answers waits until something answers at an address.
func answers(ctx context.Context, address string, of *service) error {
	deadline := time.Now().Add(patience)
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode < http.StatusInternalServerError {
				return nil
			}
			err = errors.New(resp.Status)
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return fmt.Errorf("%s does not answer: %w\n%s", of.name, err, tailOf(of.log()))
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// tailOf is the end of a file, for messages.
func tailOf(path string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return path + ":\n" + tail(string(raw))
}

// user is somebody with a token.
type user struct{ token, project string }

// logIn gets a token of a user of the default domain.
func logIn(ctx context.Context, name, password, project string) (user, error) {
	type object = map[string]any
	domain := object{"id": "default"}
	body := object{"auth": object{
		"identity": object{"methods": []string{"password"}, "password": object{"user": object{"name": name, "password": password, "domain": domain}}},
		"scope":    object{"project": object{"name": project, "domain": domain}},
	}}
	var answer struct {
		Token struct {
			Project struct {
				ID string `json:"id"`
			} `json:"project"`
		} `json:"token"`
	}
	header, err := user{}.send(ctx, http.MethodPost, keystoneURL+"/auth/tokens", body, &answer)
	if err != nil {
		return user{}, err
	}
	return user{token: header.Get("X-Subject-Token"), project: answer.Token.Project.ID}, nil
}

// send makes a call and decodes its answer into out, which may be nil.
func (u user) send(ctx context.Context, method, address string, in, out any) (http.Header, error) {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Auth-Token", u.token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %s: %s", method, address, resp.Status, tail(string(raw)))
	}
	if out != nil {
		if err := json.Unmarshal(raw, out); err != nil {
			return nil, fmt.Errorf("%s %s: %w", method, address, err)
		}
	}
	return resp.Header, nil
}
