package integration

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
)

// devices stands in for the systemd of an initial RAM disk, at its private socket: Ignition asks
// it to wait for block devices, and here they are there already. Of D-Bus it knows what that takes.
type devices struct {
	listener net.Listener
	serving  sync.WaitGroup

	mu      sync.Mutex
	clients []io.Writer
	serial  uint32
	asked   []string
}

// waitForDevices serves at the socket until the test ends.
func waitForDevices(t *testing.T, socket string) *devices {
	t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	d := &devices{listener: l}
	d.serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			d.serving.Go(func() {
				defer conn.Close()
				_ = d.talk(conn) // ends when the client hangs up
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		d.serving.Wait()
	})
	return d
}

func (d *devices) talk(conn net.Conn) error {
	in := bufio.NewReader(conn)
	if err := handshake(in, conn); err != nil {
		return err
	}
	d.mu.Lock()
	d.clients = append(d.clients, conn)
	d.mu.Unlock()
	for {
		m, err := dbus.DecodeMessage(in)
		if err != nil {
			return err
		}
		reply := &dbus.Message{Type: dbus.TypeMethodReply, Headers: map[dbus.HeaderField]dbus.Variant{dbus.FieldReplySerial: dbus.MakeVariant(m.Serial())}}
		if fmt.Sprint(m.Headers[dbus.FieldMember].Value()) != "StartUnit" {
			if err := d.send(reply, conn); err != nil {
				return err
			}
			continue
		}
		if err := d.start(conn, reply, fmt.Sprint(m.Body[0])); err != nil {
			return err
		}
	}
}

// start answers with a job, and tells everybody that it is done.
func (d *devices) start(conn io.Writer, reply *dbus.Message, unit string) error {
	d.mu.Lock()
	d.asked = append(d.asked, unit)
	number, clients := uint32(len(d.asked)), d.clients
	d.mu.Unlock()
	job := dbus.ObjectPath(fmt.Sprintf("/org/freedesktop/systemd1/job/%d", number))
	reply.Body = []any{job}
	reply.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(job))
	if err := d.send(reply, conn); err != nil {
		return err
	}
	return d.send(&dbus.Message{Type: dbus.TypeSignal, Body: []any{number, job, unit, "done"}, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldPath:      dbus.MakeVariant(dbus.ObjectPath("/org/freedesktop/systemd1")),
		dbus.FieldInterface: dbus.MakeVariant("org.freedesktop.systemd1.Manager"),
		dbus.FieldMember:    dbus.MakeVariant("JobRemoved"),
		dbus.FieldSignature: dbus.MakeVariant(dbus.SignatureOf(number, job, unit, "done")),
	}}, clients...)
}

// send numbers a message and writes it to the clients.
func (d *devices) send(m *dbus.Message, to ...io.Writer) error {
	var b bytes.Buffer
	if err := m.EncodeTo(&b, binary.LittleEndian); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.serial++
	binary.LittleEndian.PutUint32(b.Bytes()[8:], d.serial)
	for _, w := range to {
		if _, err := w.Write(b.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// handshake lets in whoever asks.
func handshake(in *bufio.Reader, out io.Writer) error {
	if _, err := in.ReadByte(); err != nil { // always 0
		return err
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		answer := "ERROR\r\n"
		switch line = strings.TrimSpace(line); {
		case line == "BEGIN":
			return nil
		case line == "AUTH":
			answer = "REJECTED EXTERNAL\r\n"
		case strings.HasPrefix(line, "AUTH EXTERNAL"):
			answer = "OK 0123456789abcdef0123456789abcdef\r\n"
		}
		if _, err := io.WriteString(out, answer); err != nil {
			return err
		}
	}
}
