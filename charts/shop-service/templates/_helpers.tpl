{{- /* These are called from a parent chart as well (with that service's values in `.Values`), so each takes what it
needs from the context alone. */ -}}

{{- define "shop-service.name" -}}
{{- .Values.name | default (ternary .Release.Name .Chart.Name .Chart.IsRoot) -}}
{{- end -}}

{{- /* registry/repository:tag@digest */ -}}
{{- define "shop-service.image" -}}
{{- $shared := (.Values.global | default dict).image | default dict -}}
{{- $name := include "shop-service.name" . -}}
{{- with .Values.image -}}
{{- $registry := .registry | default $shared.registry -}}
{{- $tag := .tag | default $shared.tag -}}
{{- if not (or $tag .digest) -}}
{{- fail (printf "image.tag of %s is empty: set it, or image.digest, or global.image.tag; what runs has to be named exactly" $name) -}}
{{- end -}}
{{- with $registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- required (printf "image.repository of %s is empty: name the image that it runs" $name) .repository -}}
{{- with $tag }}:{{ include "shop-service.text" (dict "value" . "of" (printf "image.tag of %s" $name)) }}{{ end -}}
{{- with .digest }}@{{ . }}{{ end -}}
{{- end -}}
{{- end -}}

{{- /* A string, or a boolean or whole number that was meant as one. Of other numbers YAML has lost how they were written. */ -}}
{{- define "shop-service.text" -}}
{{- $value := .value -}}
{{- if kindIs "float64" $value -}}
{{- if or (ne (floor $value) $value) (ge $value 9007199254740992.0) (le $value -9007199254740992.0) -}}
{{- fail (printf "%s is the number %v: write it in quotes, since YAML does not keep a number as it was written (1.10 becomes 1.1)" .of $value) -}}
{{- end -}}
{{- printf "%.0f" $value -}}
{{- else -}}
{{- printf "%v" $value -}}
{{- end -}}
{{- end -}}

{{- /* A map of labels or annotations, as JSON, with every value as text. */ -}}
{{- define "shop-service.texts" -}}
{{- $texts := dict -}}
{{- $of := .of -}}
{{- range $key, $value := .map -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $_ := set $texts $key (include "shop-service.text" (dict "value" $value "of" (printf "%s %s" $of $key))) -}}
{{- end -}}
{{- end -}}
{{- toJson $texts -}}
{{- end -}}

{{- /* A map name -> text or {valueFrom}, as the spec's list in a JSON object under `env`: by name, but each variable after
those of the map that its value refers to as $(NAME), which Kubernetes leaves as it is otherwise. */ -}}
{{- define "shop-service.envList" -}}
{{- $of := .of -}}
{{- $waiting := dict -}}
{{- range $name, $value := .env -}}
{{- if kindIs "map" $value -}}
{{- $_ := set $waiting $name (set (deepCopy $value) "name" $name) -}}
{{- else if not (kindIs "invalid" $value) -}}
{{- $_ := set $waiting $name (dict "name" $name "value" (include "shop-service.text" (dict "value" $value "of" (printf "variable %s of %s" $name $of)))) -}}
{{- end -}}
{{- end -}}
{{- $list := list -}}
{{- range until (len $waiting) -}}
{{- range $name, $variable := deepCopy $waiting -}}
{{- $free := true -}}
{{- range regexFindAll "\\$\\$|\\$\\([^)]+\\)" ($variable.value | default "") -1 -}}
{{- $target := trimSuffix ")" (trimPrefix "$(" .) -}}
{{- if and (ne $target $name) (hasKey $waiting $target) -}}{{- $free = false -}}{{- end -}}
{{- end -}}
{{- if $free -}}
{{- $list = append $list $variable -}}
{{- $_ := unset $waiting $name -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $waiting -}}
{{- fail (printf "the variables %s of %s refer to each other in a circle, so none of them can come first" (keys $waiting | sortAlpha | join ", ") $of) -}}
{{- end -}}
{{- toJson (dict "env" $list) -}}
{{- end -}}

{{- /* The service's environment over the shared one; not `merge`, for which an empty string is no value. */ -}}
{{- define "shop-service.env" -}}
{{- $env := dict -}}
{{- range $name, $value := (.Values.global | default dict).env -}}{{- $_ := set $env $name $value -}}{{- end -}}
{{- range $name, $value := .Values.env -}}{{- $_ := set $env $name $value -}}{{- end -}}
{{- include "shop-service.envList" (dict "env" $env "of" (include "shop-service.name" .)) -}}
{{- end -}}

{{- /* What the service says itself, or what its parent shares, as JSON under `value`. */ -}}
{{- define "shop-service.own" -}}
{{- $own := index .context.Values .field -}}
{{- toJson (dict "value" ($own | default (index (.context.Values.global | default dict) .field))) -}}
{{- end -}}
