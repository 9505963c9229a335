//! Command lines as a page shows them: what a shell takes for programs, words and comments.

/// A line of a shell, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The programs it runs with their arguments, quotes removed, without assignments in front.
    pub commands: Vec<Vec<String>>,
    /// What stands behind ` # `.
    pub comment: String,
}

impl Line {
    /// Takes a line apart: words, quotes, `|`, `&&`, `||`, `;`, redirections and comments; no substitutions.
    pub fn parse(text: &str) -> Line {
        let mut line = Line::default();
        let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
        let mut rest = text.chars();
        while let Some(letter) = rest.next() {
            match (quote, letter) {
                (Some(open), _) if letter == open => quote = None,
                (Some(_), _) => word.get_or_insert_default().push(letter),
                (None, '\'' | '"') => {
                    quote = Some(letter);
                    word.get_or_insert_default();
                }
                (None, '\\') => word.get_or_insert_default().extend(rest.next().filter(|next| *next != '\n')),
                (None, '#') if word.is_none() => {
                    line.comment = rest.as_str().trim().to_string();
                    break;
                }
                // `2>&1` starts no program.
                (None, '&') if word.as_ref().is_some_and(|word| word.ends_with('>')) => {
                    word.get_or_insert_default().push('&')
                }
                (None, '|' | '&' | ';') => {
                    words.extend(word.take());
                    line.end(&mut words);
                }
                (None, letter) if letter.is_whitespace() => words.extend(word.take()),
                (None, letter) => word.get_or_insert_default().push(letter),
            }
        }
        words.extend(word);
        line.end(&mut words);
        line
    }

    fn end(&mut self, words: &mut Vec<String>) {
        let is_assignment = |word: &String| {
            word.split_once('=').is_some_and(|(name, _)| {
                !name.is_empty() && name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_')
            })
        };
        let command: Vec<String> = words.drain(..).skip_while(is_assignment).filter(|word| !word.is_empty()).collect();
        if !command.is_empty() {
            self.commands.push(command);
        }
    }

    /// The exit code that the comment promises, as in `# exits with 1`; else 0.
    pub fn exit(&self) -> i32 {
        let Some((_, code)) = self.comment.split_once("exits with ") else { return 0 };
        let digits: String = code.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or_else(|_| panic!("no exit code: # {}", self.comment))
    }
}

#[test]
fn lines() {
    let parse = |text: &str| {
        let line = Line::parse(text);
        (line.commands.iter().map(|command| command.join(" ")).collect::<Vec<_>>().join("; "), line.exit())
    };
    for (text, commands, exit) in [
        ("ringfence flows --pcap a.pcap", "ringfence flows --pcap a.pcap", 0),
        ("ringfence check -l 'app=x|y'   # exits with 1: a finding", "ringfence check -l app=x|y", 1),
        ("KUBECONFIG=/a kubectl get ns >out.yaml 2>&1", "kubectl get ns >out.yaml 2>&1", 0),
        ("docker build . && docker push x | tee log; ls", "docker build .; docker push x; tee log; ls", 0),
        ("ringfence collect \\\n  -o week.db # exits with 3", "ringfence collect -o week.db", 3),
        ("sed 's/a # b/c/' x", "sed s/a # b/c/ x", 0),
        ("# only a comment", "", 0),
    ] {
        assert_eq!(parse(text), (commands.to_string(), exit), "{text}");
    }
}
