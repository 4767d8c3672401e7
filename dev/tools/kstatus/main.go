// Command kstatus judges objects as kstatus, Argo CD and Flux do: with the libraries that Helm, Flux and others use, a health
// script of Argo CD's kind, and health expressions of Flux's kind.
//
// It reads one JSON document from standard input,
//
//	{"lua": SCRIPT, "flux": {"current": CEL, "failed": CEL, "inProgress": CEL}, "objects": [OBJECT, …]}
//
// and writes a list with {"kstatus": …, "message": …, "argo": …, "argoMessage": …, "flux": …} for each object.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type question struct {
	Lua     string                            `json:"lua"`
	Flux    *kustomize.HealthCheckExpressions `json:"flux"`
	Objects []json.RawMessage                 `json:"objects"`
}

type answer struct {
	Kstatus     string `json:"kstatus"`
	Message     string `json:"message"`
	Argo        string `json:"argo,omitempty"`
	ArgoMessage string `json:"argoMessage,omitempty"`
	Flux        string `json:"flux,omitempty"`
}

func main() {
	var asked question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		fail(err)
	}
	answers := []answer{}
	for _, raw := range asked.Objects {
		found, err := judge(asked, raw)
		if err != nil {
			fail(err)
		}
		answers = append(answers, found)
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintf(os.Stderr, "kstatus: %v\n", err)
	os.Exit(1)
}

func judge(asked question, raw json.RawMessage) (answer, error) {
	object := &unstructured.Unstructured{}
	// Its own decoder keeps whole numbers whole, as the API's clients do.
	if err := object.UnmarshalJSON(raw); err != nil {
		return answer{}, err
	}
	result, err := status.Compute(object)
	if err != nil {
		return answer{}, err
	}
	found := answer{Kstatus: string(result.Status), Message: result.Message}
	if asked.Lua != "" {
		if found.Argo, found.ArgoMessage, err = health(asked.Lua, object.Object); err != nil {
			return answer{}, err
		}
	}
	if asked.Flux != nil {
		evaluator, err := cel.NewStatusEvaluator(asked.Flux)
		if err != nil {
			return answer{}, err
		}
		judged, err := evaluator.Evaluate(context.Background(), object)
		if err != nil {
			return answer{}, err
		}
		found.Flux = string(judged.Status)
	}
	return found, nil
}

// health runs a script over the global obj, with no library of Lua but the few that Argo CD opens.
func health(script string, object map[string]any) (string, string, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable,
	} {
		state.Push(state.NewFunction(open))
		state.Push(lua.LString(name))
		state.Call(1, 0)
	}
	state.SetGlobal("obj", value(state, object))
	if err := state.DoString(script); err != nil {
		return "", "", err
	}
	table, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return "", "", fmt.Errorf("the script returns %s, not a table", state.Get(-1).Type())
	}
	return lua.LVAsString(table.RawGetString("status")), lua.LVAsString(table.RawGetString("message")), nil
}

func value(state *lua.LState, of any) lua.LValue {
	switch of := of.(type) {
	case map[string]any:
		table := state.NewTable()
		for key, each := range of {
			table.RawSetString(key, value(state, each))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, each := range of {
			table.Append(value(state, each))
		}
		return table
	case string:
		return lua.LString(of)
	case bool:
		return lua.LBool(of)
	case int64:
		return lua.LNumber(of)
	case float64:
		return lua.LNumber(of)
	}
	return lua.LNil
}
