package metadata

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
)

// pythonJSON writes a JSON value as Python's json.dumps does by default: a blank after each
// comma and colon, ASCII only, keys in their order. Scripts have compared such texts.
func pythonJSON(raw json.RawMessage) string {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var out strings.Builder
	if writePython(&out, dec) != nil {
		return string(raw)
	}
	return out.String()
}

func writePython(out *strings.Builder, dec *json.Decoder) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	switch value := token.(type) {
	case json.Delim:
		return writePythonItems(out, dec, value)
	case string:
		writePythonString(out, value)
	case json.Number:
		out.WriteString(pythonNumber(value))
	case bool:
		out.WriteString(strconv.FormatBool(value))
	case nil:
		out.WriteString("null")
	}
	return nil
}

func writePythonItems(out *strings.Builder, dec *json.Decoder, open json.Delim) error {
	out.WriteString(open.String())
	for first := true; dec.More(); first = false {
		if !first {
			out.WriteString(", ")
		}
		if open == '{' {
			if err := writePython(out, dec); err != nil {
				return err
			}
			out.WriteString(": ")
		}
		if err := writePython(out, dec); err != nil {
			return err
		}
	}
	end, err := dec.Token()
	if err != nil {
		return err
	}
	out.WriteString(fmt.Sprint(end))
	return nil
}

func writePythonString(out *strings.Builder, text string) {
	out.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			out.WriteByte('\\')
			out.WriteRune(r)
		case r == '\n':
			out.WriteString(`\n`)
		case r == '\r':
			out.WriteString(`\r`)
		case r == '\t':
			out.WriteString(`\t`)
		case r == '\b':
			out.WriteString(`\b`)
		case r == '\f':
			out.WriteString(`\f`)
		case r >= ' ' && r < 0x7f:
			out.WriteRune(r)
		case r <= 0xffff:
			fmt.Fprintf(out, `\u%04x`, r)
		default:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(out, `\u%04x\u%04x`, high, low)
		}
	}
	out.WriteByte('"')
}

// pythonNumber writes a number as Python's repr does: integers as they are, others shortest.
func pythonNumber(number json.Number) string {
	text := number.String()
	if !strings.ContainsAny(text, ".eE") {
		return text
	}
	value, err := number.Float64()
	if err != nil {
		return text
	}
	const fixedTo = 1e16 // from here on, and below 1e-4, repr writes an exponent
	if abs := max(value, -value); abs == 0 || abs >= 1e-4 && abs < fixedTo {
		text = strconv.FormatFloat(value, 'f', -1, 64)
		if !strings.Contains(text, ".") {
			text += ".0"
		}
		return text
	}
	return strconv.FormatFloat(value, 'e', -1, 64)
}
