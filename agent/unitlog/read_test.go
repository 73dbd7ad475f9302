package unitlog

import (
	"testing"
	"time"
)

func TestLinesOfTheJournalAreReadWithWhatSystemdSaysOfExits(t *testing.T) {
	raw := []byte(`{"__REALTIME_TIMESTAMP":"1700000000000001","MESSAGE":"bind: address already in use","_SYSTEMD_UNIT":"slipway-a.service","SYSLOG_IDENTIFIER":"a","_PID":"12","PRIORITY":"3"}
{"__REALTIME_TIMESTAMP":"1700000001000000","MESSAGE":"Main process exited","UNIT":"slipway-a.service","_SYSTEMD_UNIT":"init.scope","SYSLOG_IDENTIFIER":"systemd","_PID":"1","PRIORITY":"5","EXIT_CODE":"killed","EXIT_STATUS":"9"}
{"MESSAGE":[104,105,255],"UNIT_RESULT":"watchdog"}
{"MESSAGE":null}
{"MESSAGE":["one","two"],"PRIORITY":"none"}
`)
	lines, err := parse(raw)
	if err != nil || len(lines) != 5 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	first := Line{Time: time.UnixMicro(1700000000000001).UTC(), Unit: "slipway-a.service", By: "a", PID: 12, Priority: 3, Message: "bind: address already in use"}
	if lines[0] != first {
		t.Errorf("%+v, want %+v", lines[0], first)
	}
	if exit := lines[1].Exit; lines[1].Unit != "slipway-a.service" || exit == nil || *exit != (Exit{"killed", "9"}) {
		t.Errorf("%+v, exit %+v", lines[1], lines[1].Exit)
	}
	if lines[2].Message != "hi?" || lines[2].Result != "watchdog" || lines[3].Message != "" || lines[4].Message != "one" || lines[4].Priority != 6 {
		t.Errorf("%+v", lines[2:])
	}
	if _, err := parse([]byte("{")); err == nil {
		t.Error("half a line is believed")
	}
}

func FuzzJournalLines(f *testing.F) {
	f.Add([]byte(`{"MESSAGE":[1,2,"x"],"PRIORITY":"3","EXIT_CODE":"exited"}`))
	f.Fuzz(func(_ *testing.T, raw []byte) { _, _ = parse(raw) })
}
