package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Frames of HTTP/2 (RFC 9113) that a health check meets.
const (
	frameHead     = 9
	frameData     = 0x0
	frameHeaders  = 0x1
	frameReset    = 0x3
	frameSettings = 0x4
	frameGoAway   = 0x7

	flagEndStream  = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
)

// preface begins every connection of HTTP/2.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// maxFrames bounds what is read in search of an answer; a server sends settings, a window or
// two and the answer's three frames.
const maxFrames = 32

// askGRPC asks a server for the health of all of it by gRPC's own health protocol
// (grpc.health.v1.Health/Check). Connecting alone says nothing: the kernel accepts connections
// for a process that hangs.
func askGRPC(ctx context.Context, conn net.Conn, deadline time.Time) error {
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	request := []byte(preface)
	request = appendFrame(request, frameSettings, 0, 0, nil)
	request = appendFrame(request, frameHeaders, flagEndHeaders, 1, requestHeaders())
	// A message: not compressed, of length 0, which is a HealthCheckRequest about everything.
	request = appendFrame(request, frameData, flagEndStream, 1, make([]byte, 5))
	if _, err := conn.Write(request); err != nil {
		return err
	}
	var message []byte
	for range maxFrames {
		kind, flags, stream, payload, err := readFrame(conn)
		if err != nil {
			return err
		}
		switch {
		case kind == frameGoAway:
			return errors.New("the server ends the connection")
		case stream != 1:
		case kind == frameReset:
			return errors.New("the server refuses the question")
		case kind == frameData && flags&flagPadded == 0:
			message = append(message, payload...)
		}
		if stream == 1 && (flags&flagEndStream != 0 || len(message) > 5) {
			return serving(message)
		}
	}
	return errors.New("the server sends no answer")
}

// serving reads a HealthCheckResponse: a message whose field 1 is 1 when the server is well.
func serving(message []byte) error {
	const head = 5
	if len(message) < head {
		return errors.New("the server answers with an error") // its status is in the trailers
	}
	for body := message[head:]; len(body) >= 2; body = body[2:] {
		if body[0] == 1<<3 { // field 1, a varint
			if body[1] == 1 {
				return nil
			}
			return fmt.Errorf("the server says that it does not serve (status %d)", body[1])
		}
	}
	return errors.New("the server says nothing about its health")
}

// requestHeaders are a POST's, each as HPACK's literal without indexing (RFC 7541, 6.2.2).
func requestHeaders() []byte {
	var out []byte
	for _, field := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", "/grpc.health.v1.Health/Check"}, {":authority", "localhost"},
		{"content-type", "application/grpc"}, {"te", "trailers"},
	} {
		out = append(out, 0, byte(len(field[0])))
		out = append(out, field[0]...)
		out = append(out, byte(len(field[1])))
		out = append(out, field[1]...)
	}
	return out
}

func appendFrame(out []byte, kind, flags byte, stream uint32, payload []byte) []byte {
	out = append(out, byte(len(payload)>>16), byte(len(payload)>>8), byte(len(payload)), kind, flags)
	out = binary.BigEndian.AppendUint32(out, stream)
	return append(out, payload...)
}

func readFrame(r io.Reader) (kind, flags byte, stream uint32, payload []byte, err error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, 0, 0, nil, err
	}
	length := int(head[0])<<16 | int(head[1])<<8 | int(head[2])
	const most = 16 << 10 // nobody may send longer ones unasked
	if length > most {
		return 0, 0, 0, nil, fmt.Errorf("the server speaks no HTTP/2: a frame of %d bytes", length)
	}
	payload = make([]byte, length)
	_, err = io.ReadFull(r, payload)
	return head[3], head[4], binary.BigEndian.Uint32(head[5:]) & (1<<31 - 1), payload, err
}
