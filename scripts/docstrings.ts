// Fails when something that a package offers to others says nothing about itself: an export of an entry point, or a public member of one,
// without a TSDoc comment; or a function that throws an error whose stable code its comment does not name.
import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as ts from 'typescript/unstable/ast'
import { API, type Checker, type Symbol as ExportSymbol, SymbolFlags } from 'typescript/unstable/sync'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const packages = ['pki', 'api', 'spiffe', 'runtime', 'server', 'agent']

const problems = new Map<string, string>()
let exported = 0
let members = 0

function comment(node: ts.Node): string | undefined {
  // The comment of a constant is the comment of its statement.
  const bearer = ts.isVariableDeclaration(node) ? node.parent.parent : node
  const last = bearer.jsDoc?.at(-1)
  return last === undefined ? undefined : bearer.getSourceFile().text.slice(last.pos, last.end)
}

function place(node: ts.Node): string {
  const file = node.getSourceFile()
  const line = file.text.slice(0, node.getStart(file)).split('\n').length
  return `${relative(root, file.fileName)}:${line}`
}

function isOwn(node: ts.Node): boolean {
  const { fileName } = node.getSourceFile()
  return fileName.startsWith(`${root}/packages/`) && !fileName.includes('/gen/') && !fileName.includes('/node_modules/')
}

function declarationsOf(symbol: ExportSymbol): ts.Node[] {
  return symbol.declarations.map(handle => handle.resolve()).filter(node => node !== undefined)
}

function isHidden(member: ts.Node): boolean {
  const modifiers = (member as { modifiers?: readonly ts.Node[] }).modifiers ?? []
  return modifiers.some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword || kind === ts.SyntaxKind.ProtectedKeyword)
}

/** The name of a public member that must be explained; undefined for what nobody reads about. */
function memberName(member: ts.Node): string | undefined {
  if (isHidden(member)) return undefined
  const { name, parameters } = member as { name?: ts.Node; parameters?: readonly ts.Node[] }
  if (ts.isConstructorDeclaration(member)) return parameters?.length === 0 ? undefined : 'constructor'
  if (name === undefined || ts.isPrivateIdentifier(name)) return undefined
  const text = name.getText()
  // Protocols of the language mean the same everywhere.
  return /^\[(?:Symbol\.(?:iterator|asyncIterator|toStringTag)|inspect\.custom|Symbol\.for\(.*\))\]$/.test(text)
    ? undefined
    : text
}

/** Members of a class or interface, and of an object type that an alias names, alone or as part of a union or intersection. */
function membersOf(node: ts.Node): readonly ts.Node[] {
  if (ts.isClassDeclaration(node) || ts.isInterfaceDeclaration(node)) return node.members
  if (ts.isTypeAliasDeclaration(node)) return membersOf(node.type)
  if (ts.isTypeLiteralNode(node)) return node.members
  return []
}

/** What classes and interfaces above explain needs no second explanation. */
function inheritedNames(node: ts.Node, checker: Checker): Set<string> {
  const names = new Set<string>()
  if (!ts.isClassDeclaration(node) && !ts.isInterfaceDeclaration(node)) return names
  for (const clause of node.heritageClauses ?? []) {
    for (const { expression } of clause.types) {
      let symbol = checker.getSymbolAtLocation(expression)
      if (symbol !== undefined && symbol.flags & SymbolFlags.Alias) symbol = checker.getAliasedSymbol(symbol)
      if (symbol === undefined) continue
      for (const declaration of declarationsOf(symbol)) {
        for (const name of inheritedNames(declaration, checker)) names.add(name)
        const strangers = !isOwn(declaration)
        for (const member of membersOf(declaration)) {
          const name = memberName(member)
          if (name !== undefined && (strangers || comment(member) !== undefined)) names.add(name)
        }
      }
    }
  }
  return names
}

/** Functions of a file that have no place in a class, by name. */
function fileFunctions(file: ts.SourceFile): Map<string, ts.Node> {
  const functions = new Map<string, ts.Node>()
  for (const statement of file.statements) {
    if (ts.isFunctionDeclaration(statement) && statement.name !== undefined)
      functions.set(statement.name.text, statement)
  }
  return functions
}

/**
 * Codes of the errors that a function throws itself or by functions of the same file. Left out is what functions inside it throw, which
 * is for their callers to meet, and what is thrown where it is caught.
 */
function thrownCodes(of: ts.Node, seen = new Set<ts.Node>()): Set<string> {
  const codes = new Set<string>()
  if (seen.has(of)) return codes
  seen.add(of)
  const helpers = fileFunctions(of.getSourceFile())
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionDeclaration(node) || ts.isFunctionExpression(node) || ts.isArrowFunction(node)) return
    if (ts.isMethodDeclaration(node) || ts.isClassExpression(node)) return
    if (ts.isThrowStatement(node)) {
      for (const [code] of node.getText().matchAll(/(?<=')ERR_[A-Z0-9_]+(?=')/g)) codes.add(code)
      const call = node.expression
      const made = ts.isCallExpression(call) ? helpers.get(call.expression.getText()) : undefined
      // What is thrown may be made by a function that returns it.
      for (const [code] of made?.getText().matchAll(/(?<=')ERR_[A-Z0-9_]+(?=')/g) ?? []) codes.add(code)
    } else if (ts.isCallExpression(node)) {
      const called = helpers.get(node.expression.getText())
      if (called !== undefined) for (const code of thrownCodes(called, seen)) codes.add(code)
    }
    if (ts.isTryStatement(node) && node.catchClause !== undefined) {
      visit(node.catchClause)
      if (node.finallyBlock !== undefined) visit(node.finallyBlock)
    } else node.forEachChild(visit)
  }
  ;(of as { body?: ts.Node }).body?.forEachChild(visit)
  return codes
}

/** Whether a comment says that this code is thrown, or refers to another comment about what is. */
function namesCode(text: string, code: string): boolean {
  if (!text.includes('@throws')) return false
  return text.includes(code) || /\bas \{@link|those of|as the constructor/.test(text)
}

/** A class whose every method throws the same may say so once. */
function checkThrown(name: string, node: ts.Node, said: string, classComment: string): void {
  for (const code of thrownCodes(node)) {
    if (!namesCode(said, code) && !namesCode(classComment, code))
      problems.set(`${place(node)} ${code}`, `${place(node)}: ${name} throws ${code}; no @throws names it`)
  }
}

function checkDeclaration(name: string, declarations: readonly ts.Node[], checker: Checker): void {
  // A whole module under one name (`export * as`) has the comment that stands at its head, and what is in it is generated.
  const own = declarations.filter(node => isOwn(node) && !ts.isSourceFile(node))
  const first = own[0]
  if (first === undefined) return
  exported += 1
  const said = own.map(comment).find(text => text !== undefined)
  if (said === undefined) problems.set(place(first), `${place(first)}: ${name} has no comment`)
  for (const declaration of own) {
    checkThrown(name, declaration, said ?? '', '')
    const byName = Map.groupBy(membersOf(declaration), member => memberName(member) ?? '')
    byName.delete('')
    const inherited = inheritedNames(declaration, checker)
    for (const [member, nodes] of byName) {
      const [node] = nodes
      if (node === undefined) continue
      members += 1
      const text = nodes.map(comment).find(found => found !== undefined)
      if (text === undefined && !inherited.has(member)) {
        problems.set(place(node), `${place(node)}: ${name}.${member} has no comment`)
      }
      for (const overload of nodes) checkThrown(`${name}.${member}`, overload, text ?? '', said ?? '')
    }
  }
}

function entryPoints(folder: string): string[] {
  const { exports } = JSON.parse(readFileSync(join(root, 'packages', folder, 'package.json'), 'utf8')) as {
    exports: Record<string, string>
  }
  return Object.values(exports)
    .filter(path => !path.includes('/gen/'))
    .map(path => join(root, 'packages', folder, path))
}

const api = new API({ cwd: root })
try {
  const project = api.updateSnapshot({ openProjects: [join(root, 'tsconfig.json')] }).getProjects()[0]
  if (project === undefined) throw new Error('tsconfig.json names no project')
  const { checker, program } = project
  for (const path of packages.flatMap(entryPoints)) {
    const file = program.getSourceFile(path)
    const module = file && checker.getSymbolAtLocation(file)
    if (module === undefined) throw new Error(`${relative(root, path)} is no module of tsconfig.json`)
    for (const symbol of checker.getExportsOfModule(module)) {
      const target = symbol.flags & SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
      checkDeclaration(symbol.name, declarationsOf(target), checker)
    }
  }
} finally {
  api.close()
}

if (problems.size > 0) {
  process.stderr.write(`${[...problems.values()].toSorted().join('\n')}\n${problems.size} comments missing\n`)
  process.exitCode = 1
} else process.stdout.write(`${exported} exports and ${members} members explain themselves\n`)
